# The whole line, because shtab's functions below only see the words behind the verb.
typeset -ga _cucmctl_words=("${(@Q)words[2,CURRENT-1]}")

# What the daemon knows, one a line.
_cucmctl_live() {
  local line
  local -a found
  for line in "${(@f)$(cucmctl __complete "${_cucmctl_words[@]}" "$PREFIX" 2>/dev/null)}"; do
    [[ -n $line ]] && found+=("${${line//:/\\:}/$'\t'/:}")
  done
  _describe -V value found
}
