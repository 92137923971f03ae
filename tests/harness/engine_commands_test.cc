// `fathom logprobs` and `fathom generate` over files: the lines that scripts rely on, and every refusal.
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "harness/cli.h"
#include "tests/engine/golden_weights.h"
#include "tests/temporary_folder.h"

namespace fathom::harness {
namespace {

using nlohmann::json;

class EngineCommands : public ::testing::Test {
 protected:
  void SetUp() override {
    json config = engine::golden::config('A');
    config["vocab_size"] = 520;
    config["eos_token_id"] = nullptr;
    engine::golden::write_checkpoint(folder_.path(), config, engine::golden::tensors(config, {}));
    for (const char* file : {"tokenizer.json", "tokenizer_config.json"}) {
      std::filesystem::copy(std::filesystem::path(FATHOM_SOURCE_DIR "/tests/golden/tokenizer") / file,
                            folder_ / file);
    }
  }

  /// Runs `command` on these lines; the exit code. What came out is in lines_.
  int run(const std::string& command, const std::vector<json>& input,
          const std::vector<std::string>& options = {}) {
    std::string text;
    for (const json& line : input) text += line.dump() + "\n";
    return run_text(command, text, options);
  }

  int run_text(const std::string& command, const std::string& input,
               const std::vector<std::string>& options = {}) {
    write_file_atomically(folder_ / "in.jsonl", input);
    std::vector<std::string> args = {command,
                                     "--model",
                                     folder_.path(),
                                     "--input",
                                     folder_ / "in.jsonl",
                                     "--output",
                                     folder_ / "out.jsonl",
                                     "--threads",
                                     "2"};
    args.insert(args.end(), options.begin(), options.end());
    const int exit_code = run_command_line(args);
    lines_.clear();
    std::ifstream out(folder_ / "out.jsonl");
    for (std::string line; std::getline(out, line);) lines_.push_back(json::parse(line));
    return exit_code;
  }

  testing::TemporaryFolder folder_;
  std::vector<json> lines_;
};

TEST_F(EngineCommands, LogprobsAnswersInOrderWithEveryDocumentedKey) {
  const std::vector<engine::TokenId> ids = engine::golden::input_ids(11);
  ASSERT_EQ(run("logprobs",
                {{{"id", "a"}, {"ids", ids}}, {{"id", 7}, {"ids", {3}}}, {{"id", nullptr}, {"ids", ids}}}),
            kExitDone);
  ASSERT_EQ(lines_.size(), 3u);
  EXPECT_EQ(lines_[0]["id"], "a");
  EXPECT_EQ(lines_[1]["id"], 7);
  EXPECT_TRUE(lines_[2]["id"].is_null());
  EXPECT_EQ(lines_[0].size(), 4u);  // id, logprobs, argmax, top
  EXPECT_EQ(lines_[0]["logprobs"].size(), 11u);
  EXPECT_TRUE(lines_[0]["logprobs"][0].is_null());
  EXPECT_LT(lines_[0]["logprobs"][1], 0.0);
  EXPECT_EQ(lines_[0]["argmax"].size(), 11u);
  EXPECT_EQ(lines_[0]["top"].size(), 20u);
  EXPECT_EQ(lines_[0]["top"][0]["id"], lines_[0]["argmax"][10]);
  EXPECT_EQ(lines_[1]["logprobs"], json::array({nullptr}));
  EXPECT_EQ(lines_[2]["logprobs"], lines_[0]["logprobs"]);
}

TEST_F(EngineCommands, LogprobsRoutesAreEmptyForDenseLayersAndTokenByExpertElsewhere) {
  ASSERT_EQ(run("logprobs", {{{"id", 1}, {"ids", {5, 6, 7, 8}}}}, {"--routes"}), kExitDone);
  const json& routes = lines_.at(0)["routes"];
  ASSERT_EQ(routes.size(), 3u);
  EXPECT_EQ(routes[0], json::array());
  ASSERT_EQ(routes[1].size(), 4u);
  EXPECT_EQ(routes[1][0].size(), 3u);
}

TEST_F(EngineCommands, TheFormsOfAttentionAgreeAndAutoIsExpandedForScores) {
  const json line = {{"id", 1}, {"ids", engine::golden::input_ids(40)}};
  std::vector<json> seen;
  for (const char* form : {"auto", "expanded", "absorbed"}) {
    ASSERT_EQ(run("logprobs", {line}, {"--attention", form}), kExitDone);
    seen.push_back(lines_.at(0)["logprobs"]);
  }
  EXPECT_EQ(seen[0], seen[1]);
  EXPECT_NE(seen[0], seen[2]);
  for (size_t i = 1; i < 40; ++i) EXPECT_NEAR(seen[0][i].get<double>(), seen[2][i].get<double>(), 1e-4);
}

TEST_F(EngineCommands, DtypeBf16RoundsTheWeights) {
  const json line = {{"id", 1}, {"ids", engine::golden::input_ids(10)}};
  ASSERT_EQ(run("logprobs", {line}), kExitDone);
  const json fp32 = lines_.at(0)["logprobs"];
  ASSERT_EQ(run("logprobs", {line}, {"--dtype", "bf16"}), kExitDone);
  EXPECT_NE(lines_.at(0)["logprobs"], fp32);
}

TEST_F(EngineCommands, ASequenceThatCannotBeComputedIsAnErrorLineAndExitCodeSix) {
  ASSERT_EQ(run("logprobs",
                {{{"id", 1}, {"ids", engine::golden::input_ids(65)}},
                 {{"id", 2}, {"ids", {520}}},
                 {{"id", 3}, {"ids", json::array()}},
                 {{"id", 4}, {"ids", {1, 2}}}},
                {"--max-tokens", "64"}),
            kExitUnscored);
  ASSERT_EQ(lines_.size(), 4u);
  EXPECT_NE(lines_[0]["error"].get<std::string>().find("limit of 64"), std::string::npos);
  EXPECT_EQ(lines_[0]["id"], 1);
  EXPECT_TRUE(lines_[1].contains("error"));
  EXPECT_TRUE(lines_[2].contains("error"));
  EXPECT_TRUE(lines_[3].contains("logprobs"));
}

TEST_F(EngineCommands, BadLinesAreBadInputButAnswersBeforeThemStand) {
  for (const char* bad :
       {R"({"id":2,"ids":[1],"temperature":1})", R"({"ids":[1]})", R"({"id":2})", R"({"id":2,"ids":"1 2"})",
        R"({"id":2,"ids":[1.5]})", R"({"id":2,"ids":[-1]})", R"([1])", "{"}) {
    EXPECT_EQ(run_text("logprobs", std::string(R"({"id":1,"ids":[1,2]})") + "\n" + bad + "\n"), kExitBadInput)
        << bad;
    EXPECT_EQ(lines_.size(), 1u) << bad;
  }
}

TEST_F(EngineCommands, GenerateGivesIdsTextReasonAndLogprobs) {
  ASSERT_EQ(run("generate", {{{"id", 1}, {"ids", engine::golden::input_ids(9)}, {"max_tokens", 6}},
                             {{"id", 2},
                              {"text", "The sea"},
                              {"max_tokens", 4},
                              {"temperature", 0.8},
                              {"top_p", 0.9},
                              {"seed", 5}}}),
            kExitDone);
  ASSERT_EQ(lines_.size(), 2u);
  EXPECT_EQ(lines_[0].size(), 5u);  // id, ids, text, finish_reason, logprobs
  EXPECT_EQ(lines_[0]["ids"].size(), 6u);
  EXPECT_EQ(lines_[0]["logprobs"].size(), 6u);
  EXPECT_EQ(lines_[0]["finish_reason"], "length");
  EXPECT_TRUE(lines_[0]["text"].is_string());
  EXPECT_EQ(lines_[1]["ids"].size(), 4u);
}

TEST_F(EngineCommands, GenerateFromTextTakesBosAndSpecialTokensAsAsked) {
  const auto ids_of = [&](const json& prompt, const std::vector<std::string>& options) {
    json line = {{"id", 1}, {"max_tokens", 8}};
    line.update(prompt);
    EXPECT_EQ(run("generate", {line}, options), kExitDone);
    return lines_.at(0)["logprobs"];
  };
  std::vector<json> tokenized;
  write_file_atomically(folder_ / "text.jsonl", R"({"id":1,"text":"The sea"})");
  for (const char* bos : {"on", "off"}) {
    ASSERT_EQ(run_command_line({"tokenize", "--model", folder_.path(), "--input", folder_ / "text.jsonl",
                                "--output", folder_ / "ids.jsonl", "--bos", bos}),
              kExitDone);
    tokenized.push_back(json::parse(read_file(folder_ / "ids.jsonl"))["ids"]);
  }
  const json with = ids_of({{"ids", tokenized[0]}}, {}), without = ids_of({{"ids", tokenized[1]}}, {});
  EXPECT_NE(with, without);
  EXPECT_EQ(ids_of({{"text", "The sea"}}, {"--bos", "on"}), with);
  EXPECT_EQ(ids_of({{"text", "The sea"}}, {"--bos", "off"}), without);
  EXPECT_EQ(ids_of({{"text", "The sea"}}, {}), with);  // the checkpoint has add_bos_token
  const json special = {{"text", "<｜end▁of▁sentence｜>x"}};
  EXPECT_NE(ids_of(special, {"--special-tokens", "parse"}), ids_of(special, {"--special-tokens", "text"}));
}

TEST_F(EngineCommands, GenerateStopsAtStopStringsAndEos) {
  const json line = {{"id", 1}, {"ids", engine::golden::input_ids(9)}, {"max_tokens", 20}};
  ASSERT_EQ(run("generate", {line}), kExitDone);
  const json free = lines_.at(0);
  json stopping = line;
  const std::string text = free["text"];
  size_t at = text.size() / 2;
  while ((static_cast<unsigned char>(text[at]) & 0xC0) == 0x80) ++at;
  stopping["stop"] = {text.substr(at)};
  ASSERT_EQ(run("generate", {stopping}), kExitDone);
  EXPECT_EQ(lines_.at(0)["finish_reason"], "stop");
  EXPECT_EQ(lines_.at(0)["text"], text.substr(0, text.find(text.substr(at))));

  write_file_atomically(folder_ / "generation_config.json", json{{"eos_token_id", free["ids"][3]}}.dump());
  json ignoring = line;
  ignoring["ignore_eos"] = true;
  ASSERT_EQ(run("generate", {line, ignoring}), kExitDone);
  EXPECT_EQ(lines_.at(0)["finish_reason"], "eos");
  EXPECT_EQ(lines_.at(0)["ids"].back(), free["ids"][3]);
  EXPECT_EQ(lines_.at(1)["ids"], free["ids"]);
}

TEST_F(EngineCommands, GenerateRefusesOtherFormsAndReportsPromptsItCannotCompute) {
  for (const char* bad : {R"({"id":1})", R"({"id":1,"text":"a","ids":[1]})", R"({"id":1,"text":5})",
                          R"({"id":1,"text":"a","max_new":5})", R"({"id":1,"text":"a","stop":"x"})",
                          R"({"id":1,"text":"a","stop":[1]})", R"({"id":1,"text":"a","max_tokens":"5"})",
                          R"({"id":1,"text":"a","seed":-1})", R"({"id":1,"text":"a","ignore_eos":1})",
                          R"({"id":1,"text":"a","temperature":"0"})"}) {
    EXPECT_EQ(run_text("generate", bad), kExitBadInput) << bad;
  }
  EXPECT_EQ(run("generate", {{{"id", 1}, {"ids", {1}}, {"temperature", -1}},
                             {{"id", 2}, {"ids", {1}}, {"max_tokens", 2}}}),
            kExitUnscored);
  EXPECT_TRUE(lines_.at(0).contains("error"));
  EXPECT_EQ(lines_.at(1)["ids"].size(), 2u);
}

TEST_F(EngineCommands, OptionsOutOfRangeAndMissingDevicesHaveTheirExitCodes) {
  const json line = {{"id", 1}, {"ids", {1}}};
  EXPECT_EQ(run("logprobs", {line}, {"--attention", "flash"}), kExitUsage);
  EXPECT_EQ(run("logprobs", {line}, {"--dtype", "fp64"}), kExitUsage);
  EXPECT_EQ(run("logprobs", {line}, {"--max-tokens", "0"}), kExitUsage);
  EXPECT_EQ(run("logprobs", {line}, {"--device", "cuda"}), kExitEnvironment);
  EXPECT_EQ(run_command_line({"logprobs", "--model", folder_ / "nothing", "--input", "-", "--output", "-"}),
            kExitBadInput);
  EXPECT_EQ(run_command_line({"logprobs", "--help"}), kExitDone);
}

}  // namespace
}  // namespace fathom::harness
