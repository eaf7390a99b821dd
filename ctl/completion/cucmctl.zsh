# The whole line, because shtab's functions below only see the words behind the verb.
typeset -ga _cucmctl_words=("${(@Q)words[2,CURRENT-1]}")

# What the daemon knows, one a line: a value, or a value, a tab and a description.
_cucmctl_live() {
  local -a lines=("${(@f)$(cucmctl __complete "${_cucmctl_words[@]}" "${(Q)IPREFIX}${(Q)PREFIX}" 2>/dev/null)}")
  local -a values=("${(@)lines%%$'\t'*}") shown=()
  local -i widest=${#${(O@)values//?/x}[1]}
  local line
  for line in "${(@)lines:#}"; do
    shown+=("${(r:widest:)line%%$'\t'*}${${(M)line%$'\t'*}/$'\t'/  }")
  done
  values=("${(@)values:#}")
  compadd -V values -l -d shown -a values
}
