"""What a person sees: tables, bars, pictures, JSON, progress."""
