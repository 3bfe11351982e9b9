"""What each command shows: tables for people, one object for scripts."""
