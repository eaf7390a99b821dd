# What the daemon knows, one a line. shtab calls this with the beginning of the last word. Blanks are
# quoted. Brackets stay as people type them: bash changes them only if they fit the name of a file.
_cucmctl_live() {
  local line value
  local -a before=("${COMP_WORDS[@]:1:COMP_CWORD-1}")
  cucmctl __complete "${before[@]//\\/}" "${1//\\/}" 2>/dev/null | while IFS= read -r line; do
    value=${line%%$'\t'*}
    printf '%s\n' "${value// /\\ }${line#"$value"}"
  done
}

# Readline ends words at = : and @ too, which are in labels, in nodes with a port and in logins. This
# puts such words together before shtab's function sees them, except --OPTION=VALUE, which become two.
# Afterwards only what follows the last of these characters may be in the reply.
_cucmctl() {
  local rest=$COMP_LINE last=${COMP_WORDS[COMP_CWORD]} word at
  local -a words=()
  for ((at = 0; at <= COMP_CWORD; at++)); do
    word=${COMP_WORDS[at]}
    if ((at == 0)) || [[ $rest == [[:blank:]]* ]]; then
      words+=("$word")
    elif [[ $word == "=" && ${words[-1]} == --* && ${words[-1]} != *=* ]]; then
      words+=("")
    else
      words[-1]+=$word
    fi
    rest=${rest#*"$word"}
  done
  [[ $last == [=:@]* ]] && last=""
  local before=${words[-1]%"$last"}
  local -a COMP_WORDS=("${words[@]}")
  local COMP_CWORD=$((${#words[@]} - 1))
  _shtab_cucmctl
  COMPREPLY=("${COMPREPLY[@]#"$before"}")
  # A description is shown beside each value, unless one of them is going to be typed.
  local several=$((${#COMPREPLY[@]} > 1)) widest=0
  [[ $COMP_TYPE == 37 || $COMP_TYPE == 42 ]] && several=0
  for word in "${COMPREPLY[@]%%$'\t'*}"; do
    ((${#word} > widest)) && widest=${#word}
  done
  for at in "${!COMPREPLY[@]}"; do
    [[ ${COMPREPLY[at]} == *$'\t'* ]] || continue
    word=${COMPREPLY[at]%%$'\t'*}
    if ((several)); then
      printf -v word '%-*s  %s' "$widest" "$word" "${COMPREPLY[at]#*$'\t'}"
      word=${word:0:${COLUMNS:-80}-1}
    fi
    COMPREPLY[at]=$word
  done
}
