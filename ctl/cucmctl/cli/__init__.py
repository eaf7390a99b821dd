"""Holds the parts of the command line that all verbs share.

options.py      the parser, and the values of options
typed_times.py  times and durations as people type them
exits.py        exit codes, and the message for an error of the client
program.py      runs a program beside `cucmctl`: a message and an exit code for each error
printer.py      standard output and standard error
password.py     reads the password from a file, from standard input or from the terminal
terminal.py     reads a line without echo; changes terminal settings for the live view
"""
