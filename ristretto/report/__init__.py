"""Results for people and programs: tables for a terminal, plain data for JSON."""
