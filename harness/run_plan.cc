#include "harness/run_plan.h"

#include <nlohmann/json.hpp>

namespace fathom::harness {
namespace {

template <typename T>
nlohmann::json or_null(const std::optional<T>& value) {
  return value ? nlohmann::json(*value) : nlohmann::json(nullptr);
}

}  // namespace

std::string parameters_json(const RunPlan& plan) {
  nlohmann::json parameters = {
      {"form", tasks::prompt_form_name(plan.asking.prompt.form)},
      {"max_context_tokens", or_null(plan.engine.options.max_tokens)},
      {"max_new_tokens", or_null(plan.asking.prompt.max_new_tokens)},
      {"needle_depths", plan.asking.prompt.needle_depths},
      {"needle_lengths", plan.asking.prompt.needle_lengths},
      {"seed", plan.seed},
      {"temperature", or_null(plan.asking.prompt.temperature)},
      {"top_p", or_null(plan.asking.prompt.top_p)},
      {"truncate", plan.truncate == Truncate::kLeft ? "left" : "error"},
  };
  // What can change a program's verdict. Runs of before these options existed have the defaults.
  if (plan.sandbox.timing != sandbox::Timing::kDefault || plan.sandbox.limits != sandbox::Limits()) {
    parameters["code"] = {{"limits", plan.sandbox.limits}, {"timing", timing_name(plan.sandbox.timing)}};
  }
  return parameters.dump();
}

}  // namespace fathom::harness
