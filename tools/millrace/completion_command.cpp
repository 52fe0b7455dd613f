#include "tools/millrace/completion_command.h"

#include <spdlog/fmt/fmt.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <iostream>
#include <vector>

#include "tools/millrace/exit_codes.h"

namespace millrace {
namespace {

// What stands before and after the table of commands. Bash splits words at ':' and '=' too: they
// are joined again.
constexpr const char* kHead =
    R"bash(# Completion of millrace for bash: source <(millrace completion bash)

# Sets subcommands, flags, takes (FLAG=KIND ...) and arguments (KIND ...) of the command $1.
_millrace_command() {
  subcommands="" flags="" takes="" arguments=""
  case "$1" in
)bash";

constexpr const char* kTail = R"bash(  esac
}

# The kind of value that flag $1 takes; nothing: it takes none.
_millrace_kind() {
  local pair
  for pair in $takes; do
    if [[ "${pair%%=*}" == "$1" ]]; then
      printf '%s' "${pair#*=}"
      return
    fi
  done
}

# Names that `millrace $@` lists. compgen -W would run what stands in them: plain ones only.
_millrace_ask() {
  local name
  while read -r name; do
    if [[ "$name" =~ ^[A-Za-z0-9_-]+$ ]]; then printf '%s\n' "$name"; fi
  done < <("${program/#\~/$HOME}" "$@" -o name --timeout 2s "${connection[@]}" 2>/dev/null)
}

# Completes $2 as a value of kind $1.
_millrace_value() {
  local prefix="$2" choice
  for choice in ${1//|/ }; do
    case "$choice" in
      FILE) compopt -o filenames 2>/dev/null; COMPREPLY+=($(compgen -f -- "$prefix")) ;;
      DIR) compopt -o filenames 2>/dev/null; COMPREPLY+=($(compgen -d -- "$prefix")) ;;
      JOB) COMPREPLY+=($(compgen -W "$(_millrace_ask get jobs)" -- "$prefix")) ;;
      SAVEPOINT)
        if [[ -n "${positionals[0]}" && "${positionals[0]}" != *[./]* ]]; then
          COMPREPLY+=($(compgen -W "$(_millrace_ask get savepoints "${positionals[0]}")" -- "$prefix"))
        fi ;;
      *[A-Z]*) ;;
      *) COMPREPLY+=($(compgen -W "$choice" -- "$prefix")) ;;
    esac
  done
}

_millrace() {
  local IFS=$' \t\n' program="$1" i word words=() cword=0 glued=0
  for ((i = 0; i <= COMP_CWORD; ++i)); do
    word="${COMP_WORDS[i]}"
    if ((glued)) || [[ $i -gt 0 && "$word" =~ ^[:=]+$ ]]; then
      words[cword]+="$word"
    else
      cword=${#words[@]}
      words+=("$word")
    fi
    if [[ "$word" =~ ^[:=]+$ ]]; then glued=1; else glued=0; fi
  done
  local current="${words[cword]}" subcommands flags takes arguments
  local path="" flag="" kind="" positionals=() connection=()
  _millrace_command ""
  for ((i = 1; i < cword; ++i)); do
    word="${words[i]}"
    if [[ -n "$kind" ]]; then
      case "$flag" in --server | --token-file | --ca) connection+=("$flag" "$word") ;; esac
      kind=""
    elif [[ "$word" == --*=* ]]; then
      case "${word%%=*}" in --server | --token-file | --ca) connection+=("$word") ;; esac
    elif [[ "$word" == -* ]]; then
      flag="$word"
      kind="$(_millrace_kind "$word")"
    elif [[ " $subcommands " == *" $word "* ]]; then
      path="${path:+$path }$word"
      _millrace_command "$path"
    else
      positionals+=("$word")
    fi
  done
  COMPREPLY=()
  if [[ -n "$kind" ]]; then
    _millrace_value "$kind" "$current"
  elif [[ "$current" == --*=* ]]; then
    _millrace_value "$(_millrace_kind "${current%%=*}")" "${current#*=}"
  elif [[ "$current" == -* ]]; then
    COMPREPLY=($(compgen -W "$flags" -- "$current"))
  elif [[ -n "$subcommands" ]]; then
    COMPREPLY=($(compgen -W "$subcommands" -- "$current"))
  else
    local kinds=($arguments) count=${#positionals[@]}
    # The last one may be given more than once.
    if ((count >= ${#kinds[@]})) && [[ "$arguments" == *... ]]; then count=$((${#kinds[@]} - 1)); fi
    kind="${kinds[count]}"
    _millrace_value "${kind%...}" "$current"
  fi
}

complete -F _millrace millrace
)bash";

// "FILE", "a|b", "N": from what help shows.
std::string KindOf(const CLI::Option& option) {
  std::string kind = option.get_type_name();
  // Of a check against a list: "TEXT:{a,b}".
  if (const size_t open = kind.find('{'); open != std::string::npos) {
    kind = kind.substr(open + 1, kind.find('}') - open - 1);
    std::ranges::replace(kind, ',', '|');
  }
  if (kind.empty() || kind.find_first_of(" \"'$`\\") != std::string::npos) kind = "VALUE";
  return kind;
}

bool TakesValue(const CLI::Option& option) { return option.get_items_expected_max() > 0; }

void AddTo(std::string* list, const std::string& word) {
  *list += (list->empty() ? "" : " ") + word;
}

void AddCase(const CLI::App& command, const std::string& path, std::string* script) {
  std::string subcommands, flags, takes, arguments;
  for (const CLI::App* const sub : command.get_subcommands([](const CLI::App*) { return true; })) {
    AddTo(&subcommands, sub->get_name());
  }
  for (const CLI::Option* const option : command.get_options()) {
    if (option->get_positional()) {
      const bool many = option->get_items_expected_max() > 1;
      AddTo(&arguments, KindOf(*option) + (many ? "..." : ""));
      continue;
    }
    std::vector<std::string> names;
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
    for (const std::string& name : option->get_snames()) names.push_back("-" + name);
    for (const std::string& name : names) {
      AddTo(&flags, name);
      if (TakesValue(*option)) AddTo(&takes, name + "=" + KindOf(*option));
    }
  }
  *script += fmt::format(
      "    \"{}\")\n      subcommands=\"{}\"\n      flags=\"{}\"\n      takes=\"{}\"\n"
      "      arguments=\"{}\" ;;\n",
      path, subcommands, flags, takes, arguments);
  for (const CLI::App* const sub : command.get_subcommands([](const CLI::App*) { return true; })) {
    AddCase(*sub, path.empty() ? sub->get_name() : path + " " + sub->get_name(), script);
  }
}

}  // namespace

std::string BashCompletion(const CLI::App& app) {
  std::string script = kHead;
  AddCase(app, "", &script);
  return script + kTail;
}

void AddCompletionCommand(CLI::App* app, int* exit_code) {
  CLI::App* const completion =
      app->add_subcommand("completion", "Scripts that complete what is typed in a shell");
  completion->require_subcommand(1);
  completion->add_subcommand("bash", "To be sourced: source <(millrace completion bash)")
      ->callback([app, exit_code] {
        std::cout << BashCompletion(*app);
        *exit_code = std::cout.flush() ? kExitOk : kExitError;
      });
}

}  // namespace millrace
