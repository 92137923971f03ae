// Options that several commands share: one spelling, one help text, one set of accepted values.
#pragma once

#include <string>

#include "engine/tokenizer.h"
#include "harness/engine_loading.h"
#include "harness/request_builder.h"

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace fathom::harness {

/// --model DIR, required.
CLI::Option* add_model_option(CLI::App& command, std::string& model_dir);

/// --input FILE and --output FILE, required; "-" is standard input or output.
void add_json_lines_options(CLI::App& command, std::string& input, std::string& output);

/// --bos on|off|checkpoint
CLI::Option* add_bos_option(CLI::App& command, engine::BosRule& rule);

/// --model, and everything that shapes the embedded engine: --device, --dtype, --attention, --threads,
/// --max-tokens, --kv-memory.
void add_engine_options(CLI::App& command, EngineChoice& choice);

/// --special-tokens parse|text
CLI::Option* add_special_tokens_option(CLI::App& command, engine::SpecialTokens& special);

/// --truncate error|left
CLI::Option* add_truncate_option(CLI::App& command, Truncate& truncate);

}  // namespace fathom::harness
