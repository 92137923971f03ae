#include "engine/chat_template.h"

#include <optional>
#include <set>

#include "base/error.h"
#include "base/sha256.h"

namespace fathom::engine {
namespace {

constexpr std::string_view kUserMarker = "<\uff5cUser\uff5c>";
constexpr std::string_view kAssistantMarker = "<\uff5cAssistant\uff5c>";

// The quoted texts of a Jinja source, escapes for line feeds resolved.
std::set<std::string> quoted_texts(std::string_view jinja) {
  std::set<std::string> texts;
  for (size_t i = 0; i < jinja.size(); ++i) {
    const char quote = jinja[i];
    if (quote != '\'' && quote != '"') continue;
    std::string text;
    for (++i; i < jinja.size() && jinja[i] != quote; ++i) {
      if (jinja[i] == '\\' && i + 1 < jinja.size()) {
        ++i;
        text += jinja[i] == 'n' ? '\n' : jinja[i];
      } else {
        text += jinja[i];
      }
    }
    texts.insert(std::move(text));
  }
  return texts;
}

// Words that name roles and fields, and parts of tool calls, which fathom never sends.
bool is_structure(const std::string& text) {
  static const std::set<std::string> kNames = {"role", "content", "user", "assistant", "system"};
  return kNames.contains(text) || text.find("tool") != std::string::npos ||
         text.find("function") != std::string::npos;
}

std::optional<ChatTemplate> family_of(std::string_view jinja) {
  if (jinja.find("bos_token") == std::string_view::npos) return std::nullopt;
  std::set<std::string> texts;
  bool has_tools = false;
  for (const std::string& text : quoted_texts(jinja)) {
    if (!is_structure(text)) texts.insert(text);
    has_tools |= text.find("tool") != std::string::npos;
  }
  if (texts == std::set<std::string>{"User: ", "\n\n", "Assistant: ", "Assistant:"})
    return ChatTemplate::kClassic;
  const std::set<std::string> markers = {std::string(kUserMarker), std::string(kAssistantMarker)};
  std::set<std::string> rest;
  for (const std::string& text : texts) {
    if (!markers.contains(text)) rest.insert(text);
  }
  if (rest.size() + markers.size() != texts.size()) return std::nullopt;
  if (rest == std::set<std::string>{"\n\n"}) return ChatTemplate::kMarkersSpaced;
  // V2.5's template also starts with empty texts and renders tool calls, fenced as JSON.
  if (has_tools) {
    for (const char* text : {"", "\n", "```", "json"}) rest.erase(text);
  }
  rest.erase("");
  return rest.empty() ? std::optional(ChatTemplate::kMarkers) : std::nullopt;
}

// Collects the parts of a prompt: what the template writes, and contents.
class ChatWriter {
 public:
  void template_text(std::string_view text) { add(text, SpecialTokens::kParse); }
  void content(std::string_view text) { add(text, SpecialTokens::kText); }

  RenderedChat finish(const Tokenizer& tokenizer) const {
    RenderedChat chat;
    std::vector<TextPart> parts;
    for (const Part& part : parts_) {
      chat.text += part.text;
      parts.push_back({part.text, part.special});
    }
    chat.ids = tokenizer.encode(parts);
    return chat;
  }

 private:
  struct Part {
    std::string text;
    SpecialTokens special;
  };
  void add(std::string_view text, SpecialTokens special) { parts_.push_back({std::string(text), special}); }
  std::vector<Part> parts_;
};

enum class Role { kSystem, kUser, kAssistant };

Role parse_role(const std::string& role) {
  if (role == "system") return Role::kSystem;
  if (role == "user") return Role::kUser;
  if (role == "assistant") return Role::kAssistant;
  throw Error(ErrorKind::kUsage,
              fmt::format("unknown role \"{}\"; accepted are system, user, assistant", role), "chat turn");
}

void write_classic(const ChatTurn& turn, std::string_view eos, ChatWriter& out) {
  switch (parse_role(turn.role)) {
    case Role::kSystem:
      out.content(turn.content);
      out.template_text("\n\n");
      return;
    case Role::kUser:
      out.template_text("User: ");
      out.content(turn.content);
      out.template_text("\n\n");
      return;
    case Role::kAssistant:
      out.template_text("Assistant: ");
      out.content(turn.content);
      out.template_text(eos);
      return;
  }
}

void write_markers(const ChatTurn& turn, std::string_view eos, ChatWriter& out) {
  switch (parse_role(turn.role)) {
    case Role::kSystem:
      return;  // written in front of all turns
    case Role::kUser:
      out.template_text(kUserMarker);
      out.content(turn.content);
      return;
    case Role::kAssistant:
      out.template_text(kAssistantMarker);
      out.content(turn.content);
      out.template_text(eos);
      return;
  }
}

void write_system_first(std::span<const ChatTurn> turns, std::string_view separator, ChatWriter& out) {
  for (const ChatTurn& turn : turns) {
    if (parse_role(turn.role) != Role::kSystem) continue;
    out.content(turn.content);
    out.template_text(separator);
  }
}

}  // namespace

ChatTemplate recognise_chat_template(std::string_view jinja) {
  if (const auto family = family_of(jinja)) return *family;
  bad_input("chat_template",
            "unknown template (SHA-256 {}); fathom renders those of DeepSeek-V2-Chat, V2-Chat-0628, V2.5 and "
            "Coder-V2. "
            "Run without --chat, or use the checkpoint's original tokenizer files",
            to_hex(sha256(jinja)));
}

RenderedChat render_chat(const Tokenizer& tokenizer, std::span<const ChatTurn> turns,
                         std::string_view assistant_prefix) {
  if (!tokenizer.chat_template()) {
    bad_input("tokenizer_config.json",
              "has no chat_template, so prompts cannot be asked in turns; run without --chat");
  }
  const ChatTemplate form = recognise_chat_template(*tokenizer.chat_template());
  if (!tokenizer.bos_id() || !tokenizer.eos_id()) {
    bad_input("tokenizer_config.json", "bos_token and eos_token are needed by the chat template");
  }
  const std::string_view eos = tokenizer.token_bytes(*tokenizer.eos_id());
  ChatWriter out;
  out.template_text(tokenizer.token_bytes(*tokenizer.bos_id()));
  if (form == ChatTemplate::kClassic) {
    for (const ChatTurn& turn : turns) write_classic(turn, eos, out);
    // A prefix makes the answer an assistant turn that has begun, and the template writes those with a space.
    out.template_text(assistant_prefix.empty() ? "Assistant:" : "Assistant: ");
  } else {
    write_system_first(turns, form == ChatTemplate::kMarkersSpaced ? "\n\n" : "", out);
    for (const ChatTurn& turn : turns) write_markers(turn, eos, out);
    out.template_text(kAssistantMarker);
  }
  out.content(assistant_prefix);
  return out.finish(tokenizer);
}

}  // namespace fathom::engine
