#include "tasks/registry.h"

#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "base/file.h"
#include "tests/expect_error.h"

namespace fathom::tasks {
namespace {

using testing::expect_error;

Selection select(std::vector<std::string> names) {
  return select_tasks(names);
}

std::vector<std::string> group_names(const Selection& selection) {
  std::vector<std::string> names;
  for (const Group* group : selection.groups) names.push_back(group->name);
  return names;
}

const Group& group_called(const std::string& name) {
  for (const Group& group : all_groups()) {
    if (group.name == name) return group;
  }
  throw std::runtime_error("no group " + name);
}

TEST(Registry, GroupsExpandToTheirMembers) {
  EXPECT_EQ(select({"mmlu"}).tasks.size(), 57u);
  EXPECT_EQ(select({"mmlu_cloze"}).tasks.size(), 57u);
  EXPECT_EQ(select({"mmlu_stem"}).tasks.size(), 19u);
  EXPECT_EQ(select({"mmlu_stem@original"}).tasks.size(), 18u);
  EXPECT_EQ(select({"gsm8k"}).tasks.size(), 1u);
}

TEST(Registry, SelectsEachTaskOnceAndReportsTheGroupsItCovers) {
  const Selection selection = select({"mmlu_anatomy", "mmlu", "gsm8k", "mmlu_anatomy"});
  EXPECT_EQ(selection.tasks.size(), 58u);
  EXPECT_EQ(group_names(selection),
            (std::vector<std::string>{"mmlu", "mmlu_stem", "mmlu_humanities", "mmlu_social_sciences",
                                      "mmlu_other", "mmlu_stem@original", "mmlu_humanities@original",
                                      "mmlu_social_sciences@original", "mmlu_other@original"}));
  EXPECT_TRUE(select({"mmlu_anatomy"}).groups.empty());
  EXPECT_EQ(group_names(select({"mmlu_other@original"})),
            (std::vector<std::string>{"mmlu_other", "mmlu_other@original"}));  // 14 subjects hold the 13
}

TEST(Registry, TheCategoryMapsDifferByAnatomyAlone) {
  std::map<std::string, std::string> lm_eval;
  std::map<std::string, std::string> original;
  for (const std::string category : {"stem", "humanities", "social_sciences", "other"}) {
    for (const std::string& member : group_called("mmlu_" + category).members) lm_eval[member] = category;
    for (const std::string& member : group_called("mmlu_" + category + "@original").members) {
      original[member] = category;
    }
  }
  EXPECT_EQ(lm_eval.size(), 57u);
  EXPECT_EQ(original.size(), 57u);
  for (const auto& [member, category] : lm_eval) {
    if (member == "mmlu_anatomy") continue;
    EXPECT_EQ(original[member], category) << member;
  }
  EXPECT_EQ(lm_eval["mmlu_anatomy"], "stem");
  EXPECT_EQ(original["mmlu_anatomy"], "other");
}

TEST(Registry, UnderstandsTheReferencesNames) {
  EXPECT_EQ(find_task("mmlu_anatomy").name, "mmlu_anatomy");
  EXPECT_EQ(find_task("mmlu_anatomy_continuation").name, "mmlu_anatomy_cloze");
  EXPECT_EQ(find_task("mmlu_anatomy_generative").name, "mmlu_anatomy_generative");
  EXPECT_EQ(find_task("mmlu_original_anatomy").name, "mmlu_anatomy_original");
  EXPECT_EQ(select({"mmlu_continuation"}).tasks.size(), 57u);
}

TEST(Registry, UnknownNamesGetTheNearestKnownOnes) {
  expect_error(ErrorKind::kUsage, [] { select({"gsm8"}); }, {"gsm8", "did you mean", "gsm8k"});
  expect_error(ErrorKind::kUsage, [] { select({"mmlu_abstract_algbra"}); }, {"mmlu_abstract_algebra"});
  expect_error(ErrorKind::kUsage, [] { select({"qqqqqqqqqqqqqqq"}); },
               {"no task or group", "fathom list tasks"});
  expect_error(ErrorKind::kUsage, [] { find_task("mmlu"); }, {"mmlu"});
  expect_error(ErrorKind::kUsage, [] { select({std::string(1 << 20, 'x')}); }, {"no task or group"});
}

TEST(Registry, OptionsThatNoTaskLooksAtAreRefused) {
  PromptOptions needle;
  needle.needle_lengths = {1000};
  expect_error(ErrorKind::kUsage, [&] { require_options_used(select({"gsm8k"}), needle); }, {"needle"});
  EXPECT_NO_THROW(require_options_used(select({"gsm8k", "needle_quick"}), needle));
  PromptOptions sampling;
  sampling.temperature = 0.5;
  expect_error(ErrorKind::kUsage, [&] { require_options_used(select({"mmlu_anatomy"}), sampling); },
               {"generate"});
  EXPECT_NO_THROW(require_options_used(select({"mmlu_anatomy", "humaneval"}), sampling));
}

TEST(Registry, OptionsOutOfRangeAreRefused) {
  auto open = [](const char* name, const PromptOptions& options) {
    open_documents(find_task(name), {}, options);
  };
  PromptOptions options;
  options.num_fewshot = 6;
  expect_error(ErrorKind::kUsage, [&] { open("mmlu_anatomy", options); }, {"mmlu_anatomy", "0 to 5", "6"});
  expect_error(ErrorKind::kUsage, [&] { open("humaneval", options); }, {"humaneval", "0 to 0"});
  options = {};
  options.top_p = 0.0;
  expect_error(ErrorKind::kUsage, [&] { open("gsm8k", options); }, {"top_p"});
  options = {};
  options.temperature = -1.0;
  expect_error(ErrorKind::kUsage, [&] { open("gsm8k", options); }, {"temperature"});
  options = {};
  options.repeats = 0;
  expect_error(ErrorKind::kUsage, [&] { open("gsm8k", options); }, {"answer"});
  options = {};
  options.max_new_tokens = 0;
  expect_error(ErrorKind::kUsage, [&] { open("gsm8k", options); }, {"token"});
}

TEST(Registry, EveryTaskIsDescribedAndMeasured) {
  for (const Task& task : all_tasks()) {
    EXPECT_FALSE(task.description.empty()) << task.name;
    EXPECT_EQ(task.description.find('\n'), std::string::npos) << task.name;
    EXPECT_FALSE(task.version.empty()) << task.name;
    EXPECT_FALSE(task.metrics.empty()) << task.name;
    EXPECT_EQ(task.kind == TaskKind::kCode, !task.pass_at_k.empty()) << task.name;
    EXPECT_LE(task.num_fewshot, task.max_num_fewshot) << task.name;
  }
}

// A change here is a change of what a task sends: raise the task's version with it.
TEST(Registry, TemplateHashesEqualTheGoldenOnes) {
  const auto path = std::filesystem::path(FATHOM_SOURCE_DIR) / "tests/golden/tasks/template_sha256.json";
  const nlohmann::json golden = nlohmann::json::parse(read_file(path));
  std::set<std::string> hashes;
  for (const Task& task : all_tasks()) {
    const std::string key = task.name + " " + task.version;
    ASSERT_TRUE(golden.contains(key)) << key;
    const std::string hash = to_hex(template_sha256(task));
    EXPECT_EQ(golden.at(key), hash) << key;
    EXPECT_TRUE(hashes.insert(hash).second) << key << " sends the same as another task";
  }
  EXPECT_EQ(golden.size(), all_tasks().size());
}

TEST(Registry, SpecsNameWhatDefinesATask) {
  const nlohmann::json spec = task_spec(find_task("gsm8k"));
  EXPECT_EQ(spec.at("kind"), "generate");
  EXPECT_EQ(spec.at("scorer"), "gsm8k");
  EXPECT_EQ(spec.at("num_fewshot"), 5);
  EXPECT_EQ(spec.at("metrics").at(0).at("filter"), "strict-match");
  EXPECT_EQ(spec.at("template_sha256").get<std::string>().size(), 64u);
}

}  // namespace
}  // namespace fathom::tasks
