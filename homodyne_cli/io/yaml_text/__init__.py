"""YAML as text: read strictly, edited without touching another byte."""
