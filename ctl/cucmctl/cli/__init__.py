"""What the verbs share of the command line.

options.py   arguments and their values
exits.py     exit codes
printer.py   standard output and standard error
password.py  the password: from a file, standard input or the terminal
prompt.py    asks for it on the terminal, without echo
terminal.py  settings of the terminal while something is drawn on it
near.py      PURE  names that are near to a misspelt one
unfinished.py  old jobs that have not ended, which a list of the newest does not show
"""
