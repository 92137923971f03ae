#include "harness/model_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <iterator>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json.h"
#include "base/number_text.h"
#include "base/progress.h"
#include "base/thread_pool.h"
#include "engine/embedded_engine.h"
#include "engine/tokenizer.h"

namespace fathom::harness {
namespace {

using engine::Checkpoint;
using engine::CheckpointTensor;
using engine::TensorStatistics;
using engine::TokenId;
using engine::Tokenizer;
using nlohmann::json;
using Severity = Finding::Severity;

// Written for this check, so that no model can have learnt it by heart.
constexpr std::string_view kText =
    "The lighthouse keeper at Orrin Point had a habit of counting ships twice: once when their lamps came "
    "over the "
    "horizon, and again when the fog let go of them. On most nights the two numbers agreed. On the last "
    "Tuesday of "
    "October they did not. Nine lights had come in from the west, and by midnight only eight hulls lay in "
    "the bay, "
    "rocking gently on their chains. He wrote both figures in the book, as the rules required, and "
    "underneath he "
    "drew a small question mark. In the morning the harbour master read the page, laughed, and sent a boy up "
    "the hill "
    "with a pot of jam and a note that said: the ninth was the moon, reflected in the new window of the "
    "bakery.";

// Limits of plausibility, far outside what trained models of the family show.
constexpr double kLargestRms = 100.0;
constexpr double kSmallestRms = 1e-7;
constexpr double kSiblingRatio = 1000.0;     // against the median rms of the siblings
constexpr size_t kFewestSiblings = 5;        // fewer have no typical rms
constexpr double kNearGuessing = 0.9;        // of the bits that guessing costs
constexpr double kTooGoodBitsPerByte = 0.2;  // nobody predicts an unseen text that well
constexpr double kBosHarm = 1.05;            // bits with BOS over bits without
constexpr size_t kFindingsShownPerKind = 5;
constexpr uint64_t kScanStepBytes = uint64_t{1} << 28;

// "model.layers.#.mlp.experts.#.up_proj.weight"
std::string sibling_name(std::string_view name) {
  std::string siblings;
  for (size_t i = 0; i < name.size(); ++i) {
    const bool digit = name[i] >= '0' && name[i] <= '9';
    const bool after_dot = !siblings.empty() && siblings.back() == '.';
    if (digit && after_dot) siblings += '#';
    if (!digit || (!after_dot && siblings.back() != '#')) siblings += name[i];
  }
  return siblings;
}

std::map<std::string, double> median_rms_of_siblings(std::span<const CheckpointTensor> tensors,
                                                     std::span<const TensorStatistics> statistics) {
  std::map<std::string, std::vector<double>> rms;
  for (size_t i = 0; i < tensors.size(); ++i) rms[sibling_name(tensors[i].name)].push_back(statistics[i].rms);
  std::map<std::string, double> medians;
  for (auto& [name, values] : rms) {
    if (values.size() < kFewestSiblings) continue;
    std::nth_element(values.begin(), values.begin() + static_cast<ptrdiff_t>(values.size() / 2),
                     values.end());
    medians[name] = values[values.size() / 2];
  }
  return medians;
}

// Collects findings, but only the first few of a kind: a model of zeros should not print 29,102 lines.
class FindingList {
 public:
  void add(Severity severity, const std::string& kind, const std::string& text) {
    if (++number_[kind] <= kFindingsShownPerKind) findings_.push_back({severity, text});
    severity_[kind] = severity;
  }
  std::vector<Finding> finish() {
    for (const auto& [kind, number] : number_) {
      if (number <= kFindingsShownPerKind) continue;
      findings_.push_back(
          {severity_[kind], fmt::format("{} more tensors: {}", number - kFindingsShownPerKind, kind)});
    }
    return std::move(findings_);
  }

 private:
  std::vector<Finding> findings_;
  std::map<std::string, size_t> number_;
  std::map<std::string, Severity> severity_;
};

std::vector<TensorStatistics> scan(const Checkpoint& checkpoint, ThreadPool& pool) {
  const std::span<const CheckpointTensor> tensors = checkpoint.tensors();
  Progress progress("weights", "tensors", static_cast<int64_t>(tensors.size()));
  std::vector<TensorStatistics> statistics;
  for (size_t begin = 0; begin < tensors.size();) {
    size_t end = begin;
    for (uint64_t bytes = 0; end < tensors.size() && bytes < kScanStepBytes; ++end)
      bytes += tensors[end].tensor.bytes();
    const std::vector<TensorStatistics> step =
        engine::scan_tensors(tensors.subspan(begin, end - begin), pool);
    statistics.insert(statistics.end(), step.begin(), step.end());
    progress.update(static_cast<int64_t>(end));
    begin = end;
  }
  return statistics;
}

void check_special_id(std::string_view what, std::optional<TokenId> tokenizer, std::optional<int64_t> config,
                      std::vector<Finding>& findings) {
  if (!tokenizer || !config || *tokenizer == *config) return;
  findings.push_back({Severity::kWarning, fmt::format("{} is {} for the tokenizer, {} in config.json", what,
                                                      *tokenizer, *config)});
}

void check_tokenizer(const Tokenizer& tokenizer, const engine::ModelConfig& config, ModelCheck& check) {
  check.tokenizer_vocab_size = tokenizer.vocab_size();
  if (tokenizer.vocab_size() > config.vocab_size) {
    check.findings.push_back(
        {Severity::kProblem,
         fmt::format("the tokenizer has ids up to {}, the model's vocabulary only {} rows: is it another "
                     "model's tokenizer?",
                     tokenizer.vocab_size() - 1, config.vocab_size)});
  } else if (tokenizer.vocab_size() < config.vocab_size / 2) {
    check.findings.push_back({Severity::kWarning, fmt::format("the tokenizer covers {} of {} vocabulary rows",
                                                              tokenizer.vocab_size(), config.vocab_size)});
  }
  check_special_id("BOS", tokenizer.bos_id(), config.bos_token_id, check.findings);
  check_special_id("EOS", tokenizer.eos_id(), config.eos_token_id, check.findings);
  if (!tokenizer.bos_id()) check.findings.push_back({Severity::kWarning, "the tokenizer has no BOS token"});
  const std::vector<TokenId> ids = tokenizer.encode(kText);
  if (tokenizer.decode(ids) != kText) {
    check.findings.push_back(
        {Severity::kProblem,
         "the tokenizer does not give the built-in text back: decode(encode(text)) differs"});
  }
}

double bits(std::span<const float> logprobs) {
  double sum = 0;
  for (float logprob : logprobs) sum -= static_cast<double>(logprob);
  return sum / std::log(2.0);
}

TextPrediction predict_text(engine::EmbeddedEngine& engine, const Tokenizer& tokenizer, int64_t vocab_size) {
  const std::vector<TokenId> ids = tokenizer.encode(kText);
  std::vector<TokenId> with_bos = {*tokenizer.bos_id()};
  with_bos.insert(with_bos.end(), ids.begin(), ids.end());
  const std::vector<float> without = engine.logprobs(ids, false).logprobs;    // of ids[1], ids[2], ...
  const std::vector<float> with = engine.logprobs(with_bos, false).logprobs;  // of ids[0], ids[1], ...
  TextPrediction prediction;
  prediction.n_tokens = static_cast<int64_t>(without.size());
  prediction.n_bytes = static_cast<int64_t>(kText.size() - tokenizer.token_bytes(ids[0]).size());
  const auto n_bytes = static_cast<double>(prediction.n_bytes);
  prediction.bits_per_byte_with_bos = bits(std::span(with).subspan(1)) / n_bytes;
  prediction.bits_per_byte_without_bos = bits(without) / n_bytes;
  prediction.bits_per_byte_of_guessing =
      static_cast<double>(prediction.n_tokens) * std::log2(static_cast<double>(vocab_size)) / n_bytes;
  return prediction;
}

// The engine refuses a tokenizer that does not fit, so this runs only when nothing has been found against it.
void check_prediction(std::shared_ptr<const Checkpoint> checkpoint,
                      std::shared_ptr<const Tokenizer> tokenizer, int n_threads, ModelCheck& check) {
  const auto n_ids = static_cast<int64_t>(tokenizer->encode(kText).size()) + 1;
  const int64_t vocab_size = checkpoint->config().vocab_size;
  if (n_ids > checkpoint->config().max_position_embeddings) {
    check.findings.push_back(
        {Severity::kWarning,
         fmt::format("the built-in text has {} tokens, more than the model's context", n_ids)});
    return;
  }
  try {
    engine::EmbeddedEngine engine(std::move(checkpoint), tokenizer,
                                  {.n_threads = n_threads, .max_tokens = n_ids});
    check.prediction = predict_text(engine, *tokenizer, vocab_size);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kEngine) throw;
    check.findings.push_back({Severity::kProblem, fmt::format("the forward pass failed: {}", error.what())});
    return;
  }
  for (Finding& finding : judge_prediction(*check.prediction)) check.findings.push_back(std::move(finding));
}

}  // namespace

bool ModelCheck::has_problem() const {
  return std::any_of(findings.begin(), findings.end(),
                     [](const Finding& f) { return f.severity == Severity::kProblem; });
}

std::vector<Finding> judge_weights(std::span<const CheckpointTensor> tensors,
                                   std::span<const TensorStatistics> statistics) {
  FATHOM_CHECK(tensors.size() == statistics.size());
  const std::map<std::string, double> medians = median_rms_of_siblings(tensors, statistics);
  FindingList findings;
  for (size_t i = 0; i < tensors.size(); ++i) {
    const TensorStatistics& s = statistics[i];
    const std::string& name = tensors[i].name;
    if (s.n_nan > 0)
      findings.add(Severity::kProblem, "NaN", fmt::format("{}: {} NaN", name, format_count(s.n_nan)));
    if (s.n_inf > 0)
      findings.add(Severity::kProblem, "infinities",
                   fmt::format("{}: {} infinities", name, format_count(s.n_inf)));
    if (s.n_nan + s.n_inf > 0) continue;
    if (s.n_zero == tensors[i].tensor.elements()) {
      findings.add(Severity::kWarning, "all zeros", fmt::format("{}: all zeros", name));
      continue;
    }
    if (s.rms > kLargestRms || s.rms < kSmallestRms) {
      findings.add(
          Severity::kWarning, "extreme rms",
          fmt::format("{}: rms {:.3g}, expected {:.0e} to {}", name, s.rms, kSmallestRms, kLargestRms));
      continue;
    }
    const auto median = medians.find(sibling_name(name));
    if (median == medians.end() || median->second == 0) continue;
    const double ratio = s.rms / median->second;
    if (ratio > kSiblingRatio || ratio < 1 / kSiblingRatio) {
      findings.add(
          Severity::kWarning, "rms far from their siblings'",
          fmt::format("{}: rms {:.3g}, typical for this tensor is {:.3g}", name, s.rms, median->second));
    }
  }
  return findings.finish();
}

std::vector<Finding> judge_prediction(const TextPrediction& p) {
  std::vector<Finding> findings;
  const auto warn = [&](std::string text) { findings.push_back({Severity::kWarning, std::move(text)}); };
  const double best = std::min(p.bits_per_byte_with_bos, p.bits_per_byte_without_bos);
  if (best > p.bits_per_byte_of_guessing) {
    warn(
        fmt::format("the text is predicted worse than by guessing ({:.3f} bits per byte against {:.3f}): "
                    "random or damaged weights, or "
                    "another model's tokenizer",
                    best, p.bits_per_byte_of_guessing));
  } else if (best > kNearGuessing * p.bits_per_byte_of_guessing) {
    warn(fmt::format(
        "the logits are nearly uniform ({:.3f} bits per byte, guessing costs {:.3f}): untrained weights?",
        best, p.bits_per_byte_of_guessing));
  }
  if (best < kTooGoodBitsPerByte) {
    warn(fmt::format("{:.3f} bits per byte is better than any model can predict an unseen text", best));
  }
  if (p.bits_per_byte_with_bos > kBosHarm * p.bits_per_byte_without_bos) {
    warn(
        fmt::format("BOS makes the prediction worse ({:.3f} bits per byte with, {:.3f} without): is it the "
                    "BOS the model was trained "
                    "with?",
                    p.bits_per_byte_with_bos, p.bits_per_byte_without_bos));
  }
  return findings;
}

ModelCheck check_model(const std::filesystem::path& model_dir, int n_threads) {
  const auto checkpoint = std::make_shared<const Checkpoint>(Checkpoint::load(model_dir));
  ModelCheck check;
  check.vocab_size = checkpoint->config().vocab_size;
  for (const std::string& warning : checkpoint->warnings())
    check.findings.push_back({Severity::kWarning, warning});

  const auto start = std::chrono::steady_clock::now();
  {
    ThreadPool pool(n_threads);
    const std::vector<TensorStatistics> statistics = scan(*checkpoint, pool);
    for (Finding& finding : judge_weights(checkpoint->tensors(), statistics))
      check.findings.push_back(std::move(finding));
  }
  check.scan_s = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  check.n_tensors = static_cast<int64_t>(checkpoint->tensors().size());
  for (const CheckpointTensor& tensor : checkpoint->tensors()) check.n_numbers += tensor.tensor.elements();

  if (!std::filesystem::exists(model_dir / "tokenizer.json")) {
    check.findings.push_back(
        {Severity::kWarning, "no tokenizer.json in the folder: the text was not checked"});
    return check;
  }
  const auto tokenizer = std::make_shared<const Tokenizer>(Tokenizer::load(model_dir));
  check_tokenizer(*tokenizer, checkpoint->config(), check);
  if (!check.has_problem() && tokenizer->bos_id()) check_prediction(checkpoint, tokenizer, n_threads, check);
  return check;
}

std::string model_check_text(const ModelCheck& check) {
  std::string text;
  const auto line = [&](std::string_view label, const std::string& value) {
    fmt::format_to(std::back_inserter(text), "{:<12} {}\n", label, value);
  };
  line("tensors",
       fmt::format("{} with the names, shapes and dtypes of config.json", format_count(check.n_tensors)));
  line("weights", fmt::format("{} numbers read in {:.1f} s", format_count(check.n_numbers), check.scan_s));
  if (check.tokenizer_vocab_size) {
    line("tokenizer", fmt::format("{} ids, {} vocabulary rows", format_count(*check.tokenizer_vocab_size),
                                  format_count(check.vocab_size)));
  }
  if (check.prediction) {
    const TextPrediction& p = *check.prediction;
    line(
        "text",
        fmt::format("{:.3f} bits per byte with BOS, {:.3f} without ({:.3f} by guessing; {} tokens, {} bytes)",
                    p.bits_per_byte_with_bos, p.bits_per_byte_without_bos, p.bits_per_byte_of_guessing,
                    p.n_tokens, p.n_bytes));
  }
  for (const Finding& finding : check.findings) {
    line(finding.severity == Severity::kProblem ? "PROBLEM" : "warning", finding.text);
  }
  line("result", check.has_problem()      ? "scores of this model would be wrong"
                 : check.findings.empty() ? "nothing to complain about"
                                          : "usable; see the warnings");
  return text;
}

json model_check_json(const ModelCheck& check) {
  json problems = json::array();
  json warnings = json::array();
  for (const Finding& finding : check.findings) {
    (finding.severity == Severity::kProblem ? problems : warnings).push_back(finding.text);
  }
  json prediction = nullptr;
  if (check.prediction) {
    const TextPrediction& p = *check.prediction;
    prediction = {{"bytes", p.n_bytes},
                  {"tokens", p.n_tokens},
                  {"bits_per_byte_with_bos", p.bits_per_byte_with_bos},
                  {"bits_per_byte_without_bos", p.bits_per_byte_without_bos},
                  {"bits_per_byte_of_guessing", p.bits_per_byte_of_guessing}};
  }
  return {{"tensors", check.n_tensors},
          {"numbers", check.n_numbers},
          {"vocab_size", check.vocab_size},
          {"tokenizer_vocab_size",
           check.tokenizer_vocab_size ? json(*check.tokenizer_vocab_size) : json(nullptr)},
          {"prediction", prediction},
          {"problems", problems},
          {"warnings", warnings}};
}

}  // namespace fathom::harness
