"""The command `onward completion`: scripts that complete commands and recipes in a shell.

The scripts ask `onward completion words WORD...` for what can follow, which imports no torch.
"""

from collections.abc import Sequence

from onward.cli.index import read_index, recipe_names
from onward.cli.usage import CommandLineError, fitted
from onward.screen import likely

_USAGE = """usage: onward completion bash|zsh|fish

Prints a script that completes commands and recipes when TAB is pressed. To have it in every new shell:

  bash   echo 'eval "$(onward completion bash)"' >> ~/.bashrc
  zsh    echo 'eval "$(onward completion zsh)"' >> ~/.zshrc        (after compinit)
  fish   onward completion fish > ~/.config/fish/completions/onward.fish
"""

_SCRIPTS = {
    "bash": r"""_onward() {
    local IFS=$'\n'
    COMPREPLY=($(onward completion words "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
}
complete -o default -F _onward onward
""",
    "zsh": r"""_onward() {
    local -a found
    found=("${(@f)$(onward completion words "${(@)words[2,CURRENT]}" 2>/dev/null)}")
    if [[ -n "${found[1]}" ]]; then
        compadd -a found
    else
        _files
    fi
}
compdef _onward onward
""",
    "fish": r"""function __onward_words
    set -l token (commandline -ct)
    set -l words (commandline -opc) "$token"
    set -e words[1]
    onward completion words $words 2>/dev/null
end
complete -c onward -a '(__onward_words)'
""",
}

_TAKE_A_RECIPE = ("train", "show", "measure", "compare", "simulate", "reproduce")
_TAKES_MANY = "compare"


def run(words: Sequence[str]) -> None:
    """Carry out `onward completion`. Raises ValueError for a shell that is not known."""
    if words and words[0] == "words":
        for word in possible(words[1:]):
            print(word)
    elif list(words[:1]) in (["-h"], ["--help"]):
        print(fitted(_USAGE), end="")
    elif len(words) == 1 and words[0] in _SCRIPTS:
        print(_SCRIPTS[words[0]], end="")
    else:
        asked = " ".join(words)
        raise CommandLineError(f"completion of {asked!r}: name one of bash, zsh and fish{likely(asked, _SCRIPTS)}")


def possible(words: Sequence[str]) -> list[str]:
    """Return what the last of some words, which may be empty, can become; nothing where only a file can follow."""
    *before, begun = words or [""]
    return [word for word in _following(before, begun) if word.startswith(begun)]


def _following(before: Sequence[str], begun: str) -> Sequence[str]:
    from onward.cli import COMMANDS

    if not before:
        return [*COMMANDS, "--help", "--version"]
    command, *rest = before
    if command in _TAKE_A_RECIPE and (not rest or (command == _TAKES_MANY and "--" not in "".join(rest))):
        return recipe_names(begun)
    if command == "train" and rest[-1:] == ["--control"]:
        return [kind for kind, _ in read_index().controls]
    if command == "list" and rest[-1:] == ["--method"]:
        return sorted({row.method for row in read_index().recipes})
    if command == "list" and rest[-1:] == ["--data"]:
        return sorted({row.data for row in read_index().recipes})
    if command == "list":
        return ["--method", "--data"]
    if command == "completion" and not rest:
        return list(_SCRIPTS)
    return []
