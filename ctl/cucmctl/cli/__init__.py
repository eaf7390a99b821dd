"""Holds what the verbs share of the command line.

options.py   arguments and their values
times.py     times that are typed
exits.py     exit codes
printer.py   standard output and standard error
password.py  the password: from a file, standard input or the terminal
terminal.py  asks for it there, without echo; settings while something is drawn there
"""
