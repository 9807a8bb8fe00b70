"""The command line: one thin module a subcommand, which parses, calls one function and prints."""
