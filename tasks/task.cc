#include "tasks/task.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "tasks/byte_counter.h"

namespace fathom::tasks {
namespace {

// What `options` says over what the task says.
void apply_options(Prompt& prompt, const PromptOptions& options) {
  if (!prompt.continuations.empty()) return;
  prompt.max_new_tokens = options.max_new_tokens.value_or(prompt.max_new_tokens);
  prompt.repeats = options.repeats.value_or(prompt.repeats);
  prompt.temperature = options.temperature.value_or(prompt.temperature);
  prompt.top_p = options.top_p.value_or(prompt.top_p);
}

PromptForm form_for(const Task& task, PromptForm form) {
  return task.always_chat && form == PromptForm::kText ? PromptForm::kChat : form;
}

[[noreturn]] void usage_error(const Task& task, std::string message) {
  throw Error(ErrorKind::kUsage, std::move(message), task.name);
}

void check_options(const Task& task, const PromptOptions& options) {
  const int64_t k = num_fewshot(task, options);
  if (k < 0 || k > task.max_num_fewshot) {
    usage_error(task, fmt::format("takes 0 to {} few-shot examples, not {}", task.max_num_fewshot, k));
  }
  if (options.max_new_tokens.value_or(1) < 1) usage_error(task, "needs at least one new token");
  if (options.repeats.value_or(1) < 1) usage_error(task, "needs at least one answer for each sample");
  if (!(options.temperature.value_or(0.0) >= 0.0)) usage_error(task, "needs a temperature of 0 or more");
  const double top_p = options.top_p.value_or(1.0);
  if (!(top_p > 0.0 && top_p <= 1.0)) usage_error(task, fmt::format("top_p {} is not in (0, 1]", top_p));
}

}  // namespace

std::string_view task_kind_name(TaskKind kind) {
  switch (kind) {
    case TaskKind::kChoice:
      return "choice";
    case TaskKind::kGenerate:
      return "generate";
    case TaskKind::kCode:
      return "code";
    case TaskKind::kNeedle:
      return "needle";
  }
  FATHOM_CHECK(false, "task kind {}", static_cast<int>(kind));
}

std::string_view scorer_name(ScorerId scorer) {
  switch (scorer) {
    case ScorerId::kChoice:
      return "choice";
    case ScorerId::kChoiceNormalised:
      return "choice_normalised";
    case ScorerId::kLetterMatch:
      return "letter_match";
    case ScorerId::kGsm8k:
      return "gsm8k";
    case ScorerId::kGsm8kCot:
      return "gsm8k_cot";
    case ScorerId::kGsm8kDeepseek:
      return "gsm8k_deepseek";
    case ScorerId::kGsm8kChat:
      return "gsm8k_chat";
    case ScorerId::kHumaneval:
      return "humaneval";
    case ScorerId::kHumanevalInstruct:
      return "humaneval_instruct";
    case ScorerId::kNeedle:
      return "needle";
    case ScorerId::kNeedleMulti:
      return "needle_multi";
  }
  FATHOM_CHECK(false, "scorer {}", static_cast<int>(scorer));
}

std::string_view prompt_form_name(PromptForm form) {
  switch (form) {
    case PromptForm::kText:
      return "text";
    case PromptForm::kChat:
      return "chat";
    case PromptForm::kChatMultiturn:
      return "chat_multiturn";
  }
  FATHOM_CHECK(false, "prompt form {}", static_cast<int>(form));
}

int64_t num_fewshot(const Task& task, const PromptOptions& options) {
  return options.num_fewshot.value_or(task.num_fewshot);
}

Documents open_documents(const Task& task, const DataSource& source, const PromptOptions& options) {
  check_options(task, options);
  PromptOptions resolved = options;
  resolved.form = form_for(task, options.form);
  Documents documents = task.open(task, source, resolved);
  documents.prompt = [inner = std::move(documents.prompt), resolved](const Sample& sample) {
    Prompt prompt = inner(sample);
    apply_options(prompt, resolved);
    return prompt;
  };
  return documents;
}

nlohmann::json prompt_to_json(const Prompt& prompt) {
  nlohmann::json turns = nlohmann::json::array();
  for (const Turn& turn : prompt.turns) turns.push_back({{"role", turn.role}, {"content", turn.content}});
  return {{"text", prompt.text},
          {"turns", turns},
          {"assistant_prefix", prompt.assistant_prefix},
          {"continuations", prompt.continuations},
          {"stop", prompt.stop},
          {"max_new_tokens", prompt.max_new_tokens},
          {"temperature", prompt.temperature},
          {"top_p", prompt.top_p},
          {"repeats", prompt.repeats},
          {"recipe", prompt.recipe}};
}

Sha256Digest template_sha256(const Task& task) {
  static const ByteCounter kBytes;
  nlohmann::json rendered = nlohmann::json::array();
  for (const PromptForm form : {PromptForm::kText, PromptForm::kChat, PromptForm::kChatMultiturn}) {
    PromptOptions options;
    options.form = form_for(task, form);
    options.tokens = &kBytes;
    const Documents documents = task.open_probe(task, options);
    for (const Sample& sample : documents.samples) {
      rendered.push_back({{"form", prompt_form_name(options.form)},
                          {"prompt", prompt_to_json(documents.prompt(sample))},
                          {"target", sample.target}});
    }
  }
  return sha256(rendered.dump());
}

nlohmann::json task_spec(const Task& task) {
  nlohmann::json metrics = nlohmann::json::array();
  for (const Metric& metric : task.metrics)
    metrics.push_back({{"name", metric.name}, {"filter", metric.filter}});
  return {{"name", task.name},
          {"version", task.version},
          {"description", task.description},
          {"kind", task_kind_name(task.kind)},
          {"scorer", scorer_name(task.scorer)},
          {"metrics", metrics},
          {"pass_at_k", task.pass_at_k},
          {"dataset", task.dataset},
          {"subset", task.subset},
          {"group", task.group},
          {"num_fewshot", task.num_fewshot},
          {"template_sha256", to_hex(template_sha256(task))}};
}

}  // namespace fathom::tasks
