#include "tests/scorers/sandbox/attack_corpus.h"

#include <algorithm>
#include <fstream>
#include <sstream>
#include <stdexcept>

namespace fathom::sandbox {
namespace {

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  std::istringstream stream(text);
  for (std::string part; std::getline(stream, part, separator);) parts.push_back(part);
  return parts;
}

std::vector<std::string> words(const std::string& text) {
  std::vector<std::string> found;
  std::istringstream stream(text);
  for (std::string word; stream >> word;) found.push_back(word);
  return found;
}

std::set<std::string> verdict_set(const std::string& text) {
  std::set<std::string> verdicts;
  for (const std::string& word : split(words(text).at(0), ',')) verdicts.insert(word);
  return verdicts;
}

std::string unescape(const std::string& text) {
  std::string bytes;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\') {
      bytes += text[i];
      continue;
    }
    const char kind = text.at(++i);
    if (kind == 'n') {
      bytes += '\n';
    } else if (kind == 'r') {
      bytes += '\r';
    } else if (kind == 't') {
      bytes += '\t';
    } else if (kind == '\\') {
      bytes += '\\';
    } else if (kind == 'x') {
      bytes += static_cast<char>(std::stoi(text.substr(i + 1, 2), nullptr, 16));
      i += 2;
    } else {
      throw std::runtime_error("unknown escape in " + text);
    }
  }
  return bytes;
}

std::string test_text(const std::set<std::string>& options) {
  const std::string head = "def check(candidate):\n";
  if (options.contains("list")) return head + "    assert list(candidate(1)) == [2]\n";
  if (options.contains("twice")) return head + "    assert candidate(1) == 2\n    assert candidate(2) == 3\n";
  if (options.contains("many"))
    return head + "    for _ in range(100000):\n        assert candidate(1) == 2\n";
  return head + "    assert candidate(1) == 2\n";
}

// An option "name=number" or "level:verdicts"; false for one that takes no value.
bool set_value(Attack& attack, const std::string& option, int& n_repeats) {
  if (const size_t colon = option.find(':'); colon != std::string::npos) {
    attack.verdicts_at[option.substr(0, colon)] = verdict_set(option.substr(colon + 1));
    return true;
  }
  const size_t equals = option.find('=');
  if (equals == std::string::npos) return false;
  const std::string name = option.substr(0, equals);
  const double value = std::stod(option.substr(equals + 1));
  if (name == "repeat") {
    n_repeats = static_cast<int>(value);
    return true;
  }
  Limits limits = attack.job.limits.value_or(Limits());
  if (name == "cpu_s") {
    limits.cpu_s = value;
  } else if (name == "wall_s") {
    limits.wall_s = value;
  } else if (name == "idle_s") {
    limits.idle_s = value;
  } else if (name == "processes") {
    limits.processes = static_cast<int64_t>(value);
  } else {
    throw std::runtime_error(attack.name + ": unknown option " + option);
  }
  attack.job.limits = limits;
  return true;
}

// Nothing for an attack that is not made for this machine.
std::optional<Attack> parse_attack(const std::string& category, const std::string& header, std::string text) {
  const std::vector<std::string> fields = split(header, '|');
  if (fields.size() < 2) throw std::runtime_error(category + ": a header without verdicts: " + header);
  Attack attack;
  attack.name = words(fields[0]).at(0);
  attack.category = category;
  attack.verdicts = verdict_set(fields[1]);
  attack.in_order = category == "leftovers";
  int n_repeats = 1;
  std::set<std::string> options;
  for (const std::string& option : words(fields.size() > 2 ? fields[2] : "")) {
    if (!set_value(attack, option, n_repeats)) options.insert(option);
  }
  for (const std::string& option : options) {
    if (!std::set<std::string>{"module", "bytes", "list", "twice", "many", "x86_64"}.contains(option)) {
      throw std::runtime_error(attack.name + ": unknown option " + option);
    }
  }
#ifndef __x86_64__
  if (options.contains("x86_64")) return std::nullopt;
#endif
  if (options.contains("bytes")) {
    while (!text.empty() && text.back() == '\n') text.pop_back();
    text = unescape(text);
  }
  attack.job.id = category + "/" + attack.name;
  attack.job.prompt = options.contains("module") ? "" : "def f(x):\n";
  for (int i = 0; i < n_repeats; ++i) attack.job.completion += text;
  attack.job.test = test_text(options);
  attack.job.entry_point = "f";
  return attack;
}

void read_file(const std::filesystem::path& path, std::vector<Attack>& attacks) {
  std::ifstream file(path);
  std::string header, text;
  const auto finish = [&] {
    if (header.empty()) return;
    if (auto attack = parse_attack(path.stem().string(), header, text)) attacks.push_back(*std::move(attack));
  };
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("=== ")) {
      finish();
      header = line.substr(4);
      text.clear();
    } else {
      text += line + "\n";
    }
  }
  finish();
}

}  // namespace

const std::set<std::string>& Attack::verdicts_for(const std::string& level) const {
  const auto found = verdicts_at.find(level);
  return found == verdicts_at.end() ? verdicts : found->second;
}

std::vector<Attack> read_attacks(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> paths;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) paths.push_back(entry.path());
  std::sort(paths.begin(), paths.end());
  std::vector<Attack> attacks;
  for (const auto& path : paths) read_file(path, attacks);
  return attacks;
}

Job job_of(const Attack& attack, const std::map<std::string, std::string>& facts) {
  Job job = attack.job;
  for (const auto& [word, fact] : facts) {
    const std::string mark = "@" + word + "@";
    for (size_t at = job.completion.find(mark); at != std::string::npos;
         at = job.completion.find(mark, at + fact.size())) {
      job.completion.replace(at, mark.size(), fact);
    }
  }
  return job;
}

}  // namespace fathom::sandbox
