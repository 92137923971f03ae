#include "tasks/needle.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/white_space.h"
#include "tasks/haystack.h"
#include "tasks/prompts/needle.h"

namespace fathom::tasks {
namespace {

constexpr std::string_view kVersion = "1.0";
// Tokens that are not the task's own text: BOS, and for turns what a chat template puts around them.
constexpr int64_t kReservedForText = 1;
constexpr int64_t kReservedForTurns = 32;

struct Grid {
  std::vector<int64_t> lengths;  // tokens
  std::vector<double> depths;    // percent
};

struct Needle {
  std::string text;
  std::string keyword;  // for several needles
};

struct Variant {
  std::string_view name;
  std::string_view description;
  Grid grid;
  std::vector<Needle> needles;
  std::vector<std::string> keywords;  // for one needle
  std::string_view question;
  std::string_view answer_cue;
  ScorerId scorer;
  int64_t max_new_tokens = 64;
};

// numpy.linspace(first, last, n), rounded.
std::vector<int64_t> evenly_spaced(int64_t first, int64_t last, int64_t n) {
  std::vector<int64_t> values;
  for (int64_t i = 0; i < n; ++i) values.push_back(first + (2 * (last - first) * i + n - 1) / (2 * (n - 1)));
  return values;
}

Grid square_grid(int64_t n) {
  Grid grid;
  grid.lengths = evenly_spaced(1000, 128000, n);
  for (const int64_t depth : evenly_spaced(0, 100, n)) grid.depths.push_back(static_cast<double>(depth));
  return grid;
}

Variant single_needle(std::string_view name, std::string_view description, Grid grid) {
  return {.name = name,
          .description = description,
          .grid = std::move(grid),
          .needles = {{std::string(prompts::kNeedle), ""}},
          .keywords = {std::begin(prompts::kNeedleKeywords), std::end(prompts::kNeedleKeywords)},
          .question = prompts::kNeedleQuestion,
          .answer_cue = prompts::kNeedleAnswer,
          .scorer = ScorerId::kNeedle};
}

// Lengths up to, and beyond, the 1024 tokens that models/nano was trained on.
Variant demo_needle() {
  return {.name = "demo_needle",
          .description = "A needle in a haystack, 5 depths at 0.5K to 6K tokens; models/nano was taught such",
          .grid = {{512, 1024, 2048, 3072, 4096, 6144}, {0, 25, 50, 75, 100}},
          .needles = {{std::string(prompts::kDemoNeedle), ""}},
          .keywords = {std::begin(prompts::kDemoKeywords), std::end(prompts::kDemoKeywords)},
          .question = prompts::kDemoQuestion,
          .answer_cue = prompts::kNeedleAnswer,
          .scorer = ScorerId::kNeedle,
          .max_new_tokens = 40};
}

Variant pizza_needles() {
  Variant variant{.name = "needle_multi",
                  .description = "Three needles, from their depth on evenly spread, on the grid of needle",
                  .grid = square_grid(12),
                  .needles = {},
                  .keywords = {},
                  .question = prompts::kPizzaQuestion,
                  .answer_cue = prompts::kPizzaAnswer,
                  .scorer = ScorerId::kNeedleMulti};
  for (const prompts::KeywordNeedle& needle : prompts::kPizzaNeedles) {
    variant.needles.push_back({std::string(needle.text), std::string(needle.keyword)});
  }
  return variant;
}

const std::vector<Variant>& variants() {
  static const std::vector<Variant> kVariants = {
      single_needle("needle", "A needle in a haystack, the DeepSeek-V2 report's 12 x 12 grid to 128K tokens",
                    square_grid(12)),
      single_needle("needle_original",
                    "A needle in a haystack, the first GPT-4 test's 15 x 15 grid to 128K tokens",
                    square_grid(15)),
      single_needle("needle_quick", "A needle in a haystack, 5 depths at 1K, 2K and 4K tokens",
                    {{1000, 2000, 4000}, {0, 25, 50, 75, 100}}),
      pizza_needles(),
      demo_needle(),
  };
  return kVariants;
}

// Everything that the cells of one opened task share.
struct Field {
  const Variant* variant = nullptr;
  PromptForm form = PromptForm::kText;
  const TokenCounter* tokens = nullptr;
  HaystackSource source;
  std::unique_ptr<Haystack> haystack;
  int64_t max_new_tokens = 0;
  int64_t frame_tokens = 0;  // of the prompt with needles and without haystack, and all that is reserved
};

// The text around the haystack. A raw text begins with the system message; as turns that is a turn of its
// own.
std::string text_before(PromptForm form) {
  return form == PromptForm::kText ? std::string(prompts::kNeedleSystem) + "\n\n" : "";
}

std::string text_after(const Variant& variant, PromptForm form) {
  std::string text = fmt::format("\n\n{}{}", variant.question, prompts::kNeedleInstruction);
  if (form == PromptForm::kText) text += fmt::format("\n\n{}", variant.answer_cue);
  return text;
}

// Where each needle goes: behind so many sentences of a haystack of n_sentences.
std::vector<int64_t> needle_sentences(const Field& field, int64_t n_sentences, double depth) {
  const size_t n_needles = field.variant->needles.size();
  std::vector<int64_t> behind;
  for (size_t i = 0; i < n_needles; ++i) {
    const double needle_depth =
        depth + static_cast<double>(i) * (100.0 - depth) / static_cast<double>(n_needles);
    const auto token = static_cast<int64_t>(static_cast<double>(field.haystack->end_token(n_sentences)) *
                                            needle_depth / 100.0);
    behind.push_back(needle_depth >= 100.0 ? n_sentences
                                           : std::min(field.haystack->sentences_within(token), n_sentences));
  }
  return behind;
}

// One cell laid out: the text (of the prompt, or of its user turn) and the byte at which each needle begins.
struct Layout {
  std::string text;
  std::vector<int64_t> needle_bytes;
  std::vector<int64_t> needle_haystack_bytes;  // the same place in the haystack without needles
};

Layout lay_out(const Field& field, int64_t n_sentences, double depth) {
  const Haystack& haystack = *field.haystack;
  Layout layout;
  layout.text = text_before(field.form);
  const std::string_view hay = haystack.first_sentences(n_sentences);
  int64_t done = 0;
  const std::vector<int64_t> behind = needle_sentences(field, n_sentences, depth);
  for (size_t i = 0; i < behind.size(); ++i) {
    const int64_t end = haystack.end_byte(behind[i]);
    layout.text += hay.substr(static_cast<size_t>(done), static_cast<size_t>(end - done));
    layout.needle_bytes.push_back(static_cast<int64_t>(layout.text.size()));
    layout.needle_haystack_bytes.push_back(end);
    layout.text += field.variant->needles[i].text;
    done = end;
  }
  layout.text += hay.substr(static_cast<size_t>(done));
  layout.text += text_after(*field.variant, field.form);
  return layout;
}

// The index in `ids`, the tokens of `text`, of the token that holds byte `at` of it.
int64_t token_at(const TokenCounter& tokens, std::string_view text, std::span<const int32_t> ids,
                 int64_t at) {
  const std::vector<int32_t> before = tokens.encode(text.substr(0, static_cast<size_t>(at)));
  const auto [parted, parted_whole] = std::mismatch(before.begin(), before.end(), ids.begin(), ids.end());
  // The tokens up to here are those of the whole text too; the rest of `before` is what a token of the whole
  // text has merged with the needle. Walk on until its bytes are covered.
  auto bytes_of = [&](auto first, auto last) {
    return static_cast<int64_t>(tokens.decode(std::span<const int32_t>(first, last)).size());
  };
  const int64_t missing = bytes_of(parted, before.end());
  auto covered = parted_whole;
  while (covered != ids.end() && bytes_of(parted_whole, covered + 1) <= missing) ++covered;
  return covered - ids.begin();
}

nlohmann::json recipe_of(const Field& field, const Sample& sample, const Layout& layout, int64_t n_sentences,
                         std::span<const int32_t> ids) {
  nlohmann::json needles = nlohmann::json::array();
  for (size_t i = 0; i < layout.needle_bytes.size(); ++i) {
    const int64_t token = token_at(*field.tokens, layout.text, ids, layout.needle_bytes[i]);
    needles.push_back(
        {{"text", field.variant->needles[i].text},
         {"haystack_byte", layout.needle_haystack_bytes[i]},
         {"token", token},
         {"depth_percent", 100.0 * static_cast<double>(token) / static_cast<double>(ids.size())}});
  }
  return {{"length", sample.fields.at("length")},
          {"depth_percent", sample.fields.at("depth_percent")},
          {"haystack", field.source.name},
          {"haystack_sha256", to_hex(field.source.sha256)},
          {"haystack_bytes", field.haystack->end_byte(n_sentences)},
          {"prompt_tokens", ids.size()},
          {"needles", needles}};
}

Prompt ask(const Field& field, const Sample& sample) {
  const auto length = sample.fields.at("length").get<int64_t>();
  const auto depth = sample.fields.at("depth_percent").get<double>();
  const int64_t reserved =
      field.max_new_tokens + (field.form == PromptForm::kText ? kReservedForText : kReservedForTurns);
  int64_t n_sentences = field.haystack->sentences_within(length - field.frame_tokens);
  Layout layout;
  std::vector<int32_t> ids;
  while (true) {
    layout = lay_out(field, n_sentences, depth);
    ids = field.tokens->encode(layout.text);
    if (static_cast<int64_t>(ids.size()) + reserved <= length || n_sentences == 0) break;
    --n_sentences;
  }
  Prompt prompt;
  prompt.recipe = recipe_of(field, sample, layout, n_sentences, ids);
  prompt.max_new_tokens = field.variant->max_new_tokens;
  if (field.form == PromptForm::kText) {
    prompt.text = std::move(layout.text);
  } else {
    prompt.turns = {{"system", std::string(prompts::kNeedleSystem)}, {"user", std::move(layout.text)}};
  }
  return prompt;
}

Sample cell(const Variant& variant, int64_t doc_id, int64_t length, double depth) {
  Sample sample;
  sample.doc_id = doc_id;
  sample.doc_key = fmt::format("{}@{}", length, depth);
  sample.cluster = std::to_string(length);
  sample.fields = {{"length", length}, {"depth_percent", depth}};
  if (variant.scorer == ScorerId::kNeedle) {
    sample.fields["keywords"] = variant.keywords;
    sample.target = strip_white_space(variant.needles[0].text);
    return sample;
  }
  std::vector<std::string> keywords;
  for (const Needle& needle : variant.needles) {
    sample.fields["needles"].push_back({{"needle", needle.text}, {"keyword", needle.keyword}});
    keywords.push_back(needle.keyword);
  }
  sample.target = fmt::format("{}", fmt::join(keywords, ", "));
  return sample;
}

Grid grid_for(const Variant& variant, const Task& task, const PromptOptions& options) {
  Grid grid = variant.grid;
  if (!options.needle_lengths.empty()) grid.lengths = options.needle_lengths;
  if (!options.needle_depths.empty()) grid.depths = options.needle_depths;
  auto has_duplicate = [](auto values) {
    std::sort(values.begin(), values.end());
    return std::adjacent_find(values.begin(), values.end()) != values.end();
  };
  if (has_duplicate(grid.lengths) || has_duplicate(grid.depths)) {
    throw Error(ErrorKind::kUsage, "a length or depth is given twice", task.name);
  }
  for (const double depth : grid.depths) {
    if (depth >= 0.0 && depth <= 100.0) continue;
    throw Error(ErrorKind::kUsage, fmt::format("depth {} is not between 0 and 100 percent", depth),
                task.name);
  }
  return grid;
}

Documents open_grid(const Variant& variant, const Task& task, const PromptOptions& options, const Grid& grid,
                    HaystackSource source) {
  FATHOM_CHECK(options.tokens != nullptr, "task {}", task.name);
  auto field = std::make_shared<Field>();
  field->variant = &variant;
  field->form = options.form;
  field->tokens = options.tokens;
  field->max_new_tokens = options.max_new_tokens.value_or(variant.max_new_tokens);
  std::string frame = text_before(options.form);
  for (const Needle& needle : variant.needles) frame += needle.text;
  frame += text_after(variant, options.form);
  field->frame_tokens = options.tokens->count(frame) + field->max_new_tokens +
                        (options.form == PromptForm::kText ? kReservedForText : kReservedForTurns);
  const auto [shortest, longest] = std::minmax_element(grid.lengths.begin(), grid.lengths.end());
  field->haystack = std::make_unique<Haystack>(source, *longest - field->frame_tokens, *options.tokens);
  field->source = std::move(source);
  if (field->haystack->sentences_within(*shortest - field->frame_tokens) == 0) {
    throw Error(
        ErrorKind::kUsage,
        fmt::format("a length of {} tokens leaves no room for a sentence of haystack: question, needle and "
                    "answer alone take {}",
                    *shortest, field->frame_tokens),
        task.name);
  }
  Documents documents;
  for (const int64_t length : grid.lengths) {
    for (const double depth : grid.depths) {
      documents.samples.push_back(
          cell(variant, static_cast<int64_t>(documents.samples.size()), length, depth));
    }
  }
  documents.dataset = {"haystack", field->source.name, "", field->source.sha256,
                       static_cast<int64_t>(documents.samples.size())};
  documents.prompt = [field](const Sample& sample) { return ask(*field, sample); };
  return documents;
}

Documents open_variant(const Variant& variant, const Task& task, const DataSource& source,
                       const PromptOptions& options) {
  return open_grid(variant, task, options, grid_for(variant, task, options),
                   source.haystack.empty() ? filler_source() : folder_source(source.haystack));
}

// A small grid; the task's own grid stands in every recipe, so that the template hash covers it.
Documents open_variant_probe(const Variant& variant, const Task& task, const PromptOptions& options) {
  Documents documents = open_grid(variant, task, options, {{1500, 3000}, {0, 50, 100}}, filler_source());
  documents.prompt = [inner = std::move(documents.prompt), &variant](const Sample& sample) {
    Prompt prompt = inner(sample);
    prompt.recipe["grid"] = {{"lengths", variant.grid.lengths}, {"depths", variant.grid.depths}};
    return prompt;
  };
  return documents;
}

Task variant_task(const Variant& variant) {
  Task task;
  task.name = variant.name;
  task.version = kVersion;
  task.description = variant.description;
  task.kind = TaskKind::kNeedle;
  task.scorer = variant.scorer;
  task.metrics = {{"needle_score"}};
  task.open = [&variant](const Task& self, const DataSource& source, const PromptOptions& options) {
    return open_variant(variant, self, source, options);
  };
  task.open_probe = [&variant](const Task& self, const PromptOptions& options) {
    return open_variant_probe(variant, self, options);
  };
  return task;
}

}  // namespace

std::vector<Task> needle_tasks() {
  std::vector<Task> tasks;
  for (const Variant& variant : variants()) tasks.push_back(variant_task(variant));
  return tasks;
}

}  // namespace fathom::tasks
