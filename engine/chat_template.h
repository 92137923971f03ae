// Chat templates of the DeepSeek-V2 family: turns to the text and ids of a prompt.
//
// The checkpoint's Jinja template is not executed; it is recognised by the text literals in it, and rendered
// here. A template that is none of the family's is an error, never a guess.
//
//   kClassic   V2-Chat, V2-Lite-Chat, Coder-V2:  BOS {system}\n\n  User: {user}\n\n  Assistant:
//   {assistant}EOS  Assistant: kMarkers   V2.5:                             BOS {system} <|User|>{user}
//   <|Assistant|>{assistant}EOS  <|Assistant|> kMarkersSpaced  V2-Chat-0628: as V2.5, with \n\n behind the
//   system text
//
// (spaces between the parts are for reading only; the bars are U+FF5C)
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/tokenizer.h"

namespace fathom::engine {

enum class ChatTemplate { kClassic, kMarkers, kMarkersSpaced };

/// Throws Error{kBadInput} for a template of another family; the message gives its SHA-256 and what is
/// accepted.
ChatTemplate recognise_chat_template(std::string_view jinja);

struct ChatTurn {
  std::string role;  ///< "system", "user" or "assistant"
  std::string content;
};

struct RenderedChat {
  std::string text;  ///< BOS included, as the template writes it
  std::vector<TokenId> ids;
};

/// The turns and the beginning of the assistant's answer, which goes on with `assistant_prefix` (may be
/// empty). Contents are encoded as ordinary text: special tokens written in them stay text. Throws
/// Error{kBadInput} when the tokenizer has no chat template, one of another family, or no BOS or EOS token;
/// Error{kUsage} for an unknown role.
RenderedChat render_chat(const Tokenizer& tokenizer, std::span<const ChatTurn> turns,
                         std::string_view assistant_prefix);

}  // namespace fathom::engine
