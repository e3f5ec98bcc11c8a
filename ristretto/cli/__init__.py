"""The command line: parse, call one public verb, print."""
