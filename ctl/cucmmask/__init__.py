"""PURE. Masks traces of CUCM so that a call can still be followed.

The same original has the same mask in every line, file, node and job, because masks are computed
from the original and a key. The text is read twice: first to collect the originals, from the places
that are marked as a number, a name and so on, and then to mask them there and elsewhere.

    masks.py      original -> mask, of the same length and alphabet
    places.py     where traces hold what is to be masked, in which disguises
    originals.py  what was collected
    words.py      collects the originals of a word, or masks them
    dumps.py      hex dumps
    escapes.py    signs that a URI escapes, such as `%2B`
    table.py      masks the columns of a table
    marks.py      finds these places in a text, and the words to look at
    text.py       collects the originals of a text, or masks them
    finder.py     finds many strings in a text at once
    search.py     searches masked text for originals that are left
    unmask.py     mask -> original, with the map that was kept
"""
