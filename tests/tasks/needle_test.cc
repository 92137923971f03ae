#include "tasks/needle.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/file.h"
#include "tasks/byte_counter.h"
#include "tasks/filler.h"
#include "tasks/haystack.h"
#include "tasks/prompts/needle.h"
#include "tasks/registry.h"
#include "tests/expect_error.h"
#include "tests/temporary_folder.h"

namespace fathom::tasks {
namespace {

using testing::expect_bad_input;
using testing::expect_error;
using testing::TemporaryFolder;

// Bytes, but a full stop and a line break after it are one token, as in many vocabularies: the first byte of
// a needle then shares its token with the sentence before.
class MergingCounter : public TokenCounter {
 public:
  std::vector<int32_t> encode(std::string_view text) const override {
    std::vector<int32_t> ids;
    for (size_t i = 0; i < text.size(); ++i) {
      const bool merged = text.substr(i).starts_with(".\n");
      ids.push_back(merged ? 256 : static_cast<unsigned char>(text[i]));
      if (merged) ++i;
    }
    return ids;
  }
  std::string decode(std::span<const int32_t> ids) const override {
    std::string text;
    for (const int32_t id : ids)
      text += id == 256 ? std::string(".\n") : std::string(1, static_cast<char>(id));
    return text;
  }
  int64_t count(std::string_view text) const override { return static_cast<int64_t>(encode(text).size()); }
};

const ByteCounter kBytes;
const MergingCounter kMerging;

Documents open(const char* task, PromptOptions options, const std::filesystem::path& haystack = {}) {
  if (options.tokens == nullptr) options.tokens = &kBytes;
  return open_documents(find_task(task), {{}, haystack}, options);
}

PromptOptions grid(std::vector<int64_t> lengths, std::vector<double> depths) {
  PromptOptions options;
  options.needle_lengths = std::move(lengths);
  options.needle_depths = std::move(depths);
  return options;
}

std::vector<int64_t> lengths_of(const Documents& documents) {
  std::vector<int64_t> lengths;
  for (const Sample& sample : documents.samples) {
    const auto length = sample.fields.at("length").get<int64_t>();
    if (lengths.empty() || lengths.back() != length) lengths.push_back(length);
  }
  return lengths;
}

// The prompt without its needle, and where that was.
std::string without_needle(std::string text, size_t& at) {
  at = text.find(prompts::kNeedle);
  EXPECT_NE(at, std::string::npos);
  return text.erase(at, prompts::kNeedle.size());
}

TEST(NeedleGrids, AreThoseOfTheirReferences) {
  PromptOptions options;
  options.needle_lengths = {1000};
  const Documents deepseek = open("needle", options);
  std::vector<double> depths;
  for (const Sample& sample : deepseek.samples) depths.push_back(sample.fields.at("depth_percent"));
  EXPECT_EQ(depths, (std::vector<double>{0, 9, 18, 27, 36, 45, 55, 64, 73, 82, 91, 100}));
  depths.clear();
  for (const Sample& sample : open("needle_original", options).samples) {
    depths.push_back(sample.fields.at("depth_percent"));
  }
  EXPECT_EQ(depths, (std::vector<double>{0, 7, 14, 21, 29, 36, 43, 50, 57, 64, 71, 79, 86, 93, 100}));
  EXPECT_EQ(lengths_of(open("needle", {})),
            (std::vector<int64_t>{1000, 12545, 24091, 35636, 47182, 58727, 70273, 81818, 93364, 104909,
                                  116455, 128000}));
  EXPECT_EQ(open("needle", {}).samples.size(), 144u);
  EXPECT_EQ(open("needle_original", {}).samples.size(), 225u);
  EXPECT_EQ(open("needle_quick", {}).samples.size(), 15u);
}

TEST(Needle, FillsTheLengthToTheSentence) {
  const Documents documents = open("needle", grid({1500, 4000}, {0, 33, 100}));
  for (const Sample& sample : documents.samples) {
    const Prompt prompt = documents.prompt(sample);
    const auto used = static_cast<int64_t>(prompt.text.size()) + prompt.max_new_tokens + 1;
    const auto length = sample.fields.at("length").get<int64_t>();
    EXPECT_LE(used, length);
    EXPECT_GT(used, length - 200) << "a sentence of filler has fewer bytes than that";
    EXPECT_EQ(prompt.recipe.at("prompt_tokens"), prompt.text.size());
  }
}

TEST(Needle, GoesInBehindASentenceAtItsDepth) {
  const Documents documents = open("needle", grid({6000}, {0, 25, 50, 75, 100}));
  std::string haystack;
  int64_t last = -1;
  for (const Sample& sample : documents.samples) {
    const Prompt prompt = documents.prompt(sample);
    size_t at = 0;
    const std::string rest = without_needle(prompt.text, at);
    if (haystack.empty()) haystack = rest;
    EXPECT_EQ(rest, haystack) << "the haystack is the same at every depth";
    const auto depth = sample.fields.at("depth_percent").get<double>();
    if (depth > 0) {
      EXPECT_EQ(prompt.text[at - 1], '.');
    }
    EXPECT_GT(static_cast<int64_t>(at), last);
    last = static_cast<int64_t>(at);
    const nlohmann::json& needle = prompt.recipe.at("needles").at(0);
    EXPECT_EQ(needle.at("token"), at);  // tokens are bytes here
    EXPECT_NEAR(needle.at("depth_percent").get<double>(), depth, 8.0);
  }
  const Prompt first = documents.prompt(documents.samples.front());
  EXPECT_TRUE(
      first.text.starts_with(std::string(prompts::kNeedleSystem) + "\n\n" + std::string(prompts::kNeedle)));
  const Prompt deepest = documents.prompt(documents.samples.back());
  EXPECT_NE(deepest.text.find(std::string(prompts::kNeedle) + "\n\n" + std::string(prompts::kNeedleQuestion)),
            std::string::npos);
}

TEST(Needle, TheRecipeRebuildsThePrompt) {
  const Documents documents = open("needle_multi", grid({5000}, {20}));
  const Prompt prompt = documents.prompt(documents.samples[0]);
  const nlohmann::json& recipe = prompt.recipe;
  EXPECT_EQ(recipe.at("haystack"), kFillerName);
  std::string hay = filler_text(recipe.at("haystack_bytes")).substr(0, recipe.at("haystack_bytes"));
  for (size_t i = 3; i-- > 0;) {
    const nlohmann::json& needle = recipe.at("needles").at(i);
    hay.insert(needle.at("haystack_byte").get<size_t>(), needle.at("text").get<std::string>());
  }
  EXPECT_NE(prompt.text.find("\n\n" + hay + "\n\n"), std::string::npos);
}

TEST(Needle, SeveralNeedlesSpreadEvenlyBehindTheirDepth) {
  const Documents documents = open("needle_multi", grid({20000}, {40}));
  const Sample& sample = documents.samples[0];
  EXPECT_EQ(sample.target, "figs, prosciutto, goat cheese");
  const Prompt prompt = documents.prompt(sample);
  for (size_t i = 0; i < 3; ++i) {
    const nlohmann::json& needle = prompt.recipe.at("needles").at(i);
    EXPECT_NEAR(needle.at("depth_percent").get<double>(), 40.0 + 20.0 * static_cast<double>(i), 3.0);
    const auto token = needle.at("token").get<size_t>();
    EXPECT_EQ(prompt.text.substr(token, needle.at("text").get<std::string>().size()), needle.at("text"));
  }
}

TEST(Needle, PositionsAreTrueWhereATokenSpansTheSeam) {
  PromptOptions options = grid({3000}, {0, 50, 100});
  options.tokens = &kMerging;
  const Documents documents = open("needle", options);
  for (const Sample& sample : documents.samples) {
    const Prompt prompt = documents.prompt(sample);
    const std::vector<int32_t> ids = kMerging.encode(prompt.text);
    EXPECT_EQ(prompt.recipe.at("prompt_tokens"), ids.size());
    const auto token = prompt.recipe.at("needles").at(0).at("token").get<size_t>();
    const std::string before = kMerging.decode(std::span(ids).first(token));
    const std::string with = kMerging.decode(std::span(ids).first(token + 1));
    const size_t at = prompt.text.find(prompts::kNeedle);
    EXPECT_LE(before.size(), at);
    EXPECT_GT(with.size(), at);
  }
}

TEST(Needle, ChatPutsTheHaystackIntoTheUserTurn) {
  PromptOptions options = grid({3000}, {50});
  options.form = PromptForm::kChat;
  const Documents documents = open("needle", options);
  const Prompt prompt = documents.prompt(documents.samples[0]);
  ASSERT_EQ(prompt.turns.size(), 2u);
  EXPECT_EQ(prompt.turns[0].content, prompts::kNeedleSystem);
  EXPECT_TRUE(prompt.turns[1].content.ends_with("or repeat your findings"));
  EXPECT_EQ(prompt.turns[1].content.find(prompts::kNeedleAnswer), std::string::npos);
}

TEST(Needle, AFolderOfTextsIsReadInTheOrderOfNamesAndRepeated) {
  const TemporaryFolder folder;
  write_file_atomically(folder / "b.txt", "Second file. It ends here.");
  write_file_atomically(folder / "a.txt", "First file! It ends?");
  write_file_atomically(folder / "c.md", "Never read.");
  const HaystackSource source = folder_source(folder.path());
  EXPECT_EQ(source.text, "First file! It ends?\nSecond file. It ends here.");
  const Documents documents = open("needle", grid({1000}, {50}), folder.path());
  const Prompt prompt = documents.prompt(documents.samples[0]);
  EXPECT_EQ(prompt.recipe.at("haystack"), "folder");
  EXPECT_NE(prompt.text.find("It ends here.\nFirst file!"), std::string::npos);
  EXPECT_EQ(documents.dataset.sha256, sha256(source.text));
}

TEST(Needle, BadHaystacksAndGridsAreRefused) {
  const TemporaryFolder folder;
  expect_bad_input([&] { folder_source(folder.path()); }, {"no text"});
  expect_bad_input([&] { folder_source(folder / "absent"); }, {"absent", "folder"});
  write_file_atomically(folder / "a.txt", "ok\xff");
  expect_bad_input([&] { folder_source(folder.path()); }, {"a.txt", "UTF-8"});
  expect_error(ErrorKind::kUsage, [] { open("needle", grid({300}, {0})); }, {"needle", "300", "no room"});
  expect_error(ErrorKind::kUsage, [] { open("needle", grid({1000, 1000}, {0})); }, {"twice"});
  expect_error(ErrorKind::kUsage, [] { open("needle", grid({1000}, {101})); }, {"101", "percent"});
}

TEST(SentenceEnds, AreBehindMarksThatWhiteSpaceFollows) {
  EXPECT_EQ(sentence_ends("Hi. \"You?\" (No!) v1.5 x"), (std::vector<int64_t>{3, 10, 16, 23}));
  EXPECT_EQ(sentence_ends("One.\nTwo."), (std::vector<int64_t>{4, 9}));
  EXPECT_EQ(sentence_ends("\u201cSo.\u201d Yes"), (std::vector<int64_t>{9, 13}));
  EXPECT_EQ(sentence_ends("..."), (std::vector<int64_t>{3}));
  EXPECT_TRUE(sentence_ends("").empty());
}

}  // namespace
}  // namespace fathom::tasks
