# Completion of wl for bash.
_wl() {
    local cur=${COMP_WORDS[COMP_CWORD]} line value
    [[ $cur == "=" ]] && cur=
    local names=() values=()
    COMPREPLY=()
    while IFS= read -r line; do
        case $line in
        :dirs) while IFS= read -r value; do names+=("$value"); done < <(compgen -d -- "$cur") ;;
        :files) while IFS= read -r value; do names+=("$value"); done < <(compgen -f -- "$cur") ;;
        *) values+=("${line%%$'\t'*}") ;;
        esac
    done < <("${COMP_WORDS[0]}" __complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
    if ((${#names[@]} > 0)); then
        compopt -o filenames 2>/dev/null
        COMPREPLY=("${names[@]}" "${values[@]}")
        return
    fi
    for value in "${values[@]}"; do
        [[ $value == */ ]] && compopt -o nospace 2>/dev/null
        COMPREPLY+=("$(printf '%q' "$value")")
    done
}
complete -F _wl wl
