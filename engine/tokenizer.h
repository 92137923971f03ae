// Tokenizer: tokenizer.json of the DeepSeek family, id for id as Hugging Face `tokenizers` reads it.
//
// Byte-level BPE behind a sequence of pre-tokenizer steps and added tokens. Immutable after load and safe to
// use from many threads. It never adds BOS by itself: with_bos() does, so that exactly one place decides.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/sha256.h"
#include "engine/token.h"

namespace fathom::engine {

/// What special tokens written literally in the text become. Added tokens with special=false always match.
enum class SpecialTokens {
  kParse,  ///< control ids, as the reference does for raw prompts
  kText,   ///< ordinary text, for the contents of chat messages
};

/// One stretch of a text that is encoded as a whole, with its own rule for special tokens. Pieces and merges
/// run across the boundary between two parts; a special token matches only inside one part.
struct TextPart {
  std::string_view text;
  SpecialTokens special = SpecialTokens::kParse;
};

/// Whether a raw prompt gets the BOS id in front.
enum class BosRule { kCheckpoint, kOn, kOff };

/// The texts of a checkpoint's tokenizer files.
struct TokenizerFiles {
  std::string_view tokenizer_json;
  std::string_view tokenizer_config_json;
  std::optional<std::string> chat_template_jinja =
      std::nullopt;    ///< counts before the config's chat_template
  std::string folder;  ///< prefix of file names in errors: empty, or a path with its last "/"
};

class Tokenizer {
 public:
  /// Reads tokenizer.json, tokenizer_config.json and, if there, chat_template.jinja of a checkpoint folder.
  /// Throws Error{kBadInput} naming the file, the key, expected and found for whatever would change ids or
  /// text and is not understood.
  static Tokenizer load(const std::filesystem::path& model_dir);
  /// The same of texts.
  static Tokenizer parse(const TokenizerFiles& files);
  ~Tokenizer();
  Tokenizer(Tokenizer&&) noexcept;
  Tokenizer& operator=(Tokenizer&&) noexcept;

  /// Ids of `text`, without BOS. Invalid UTF-8 becomes U+FFFD, counted in `*n_invalid_bytes` when given.
  std::vector<TokenId> encode(std::string_view text, SpecialTokens special = SpecialTokens::kParse,
                              int64_t* n_invalid_bytes = nullptr) const;

  /// Ids of the concatenated parts: how a chat template and the untrusted contents in it become one prompt.
  std::vector<TokenId> encode(std::span<const TextPart> parts, int64_t* n_invalid_bytes = nullptr) const;

  /// Whether encode(a + b) is encode(a) followed by encode(b) for every `a` that ends with LF: the
  /// pre-tokenizer isolates line breaks and no added token holds one. Lets a caller encode a text line by
  /// line.
  bool splits_at_line_feeds() const;

  /// Text of `ids`; bytes that are not UTF-8 decode to U+FFFD. `skip_special` leaves special tokens out.
  enum class DecodeSpecial { kKeep, kSkip };
  std::string decode(std::span<const TokenId> ids, DecodeSpecial special = DecodeSpecial::kSkip) const;

  /// The raw bytes of one id, not necessarily whole UTF-8; empty for ids without a string (the padding rows
  /// of the model's vocabulary, say). What lies outside the vocabulary decodes to nothing, as in the
  /// reference.
  std::string_view token_bytes(TokenId id) const;

  /// `ids` with BOS in front when the rule says so and they do not already begin with it. Throws
  /// Error{kBadInput} when the rule is kOn and the tokenizer has no BOS token.
  std::vector<TokenId> with_bos(std::vector<TokenId> ids, BosRule rule) const;
  /// The rule resolved to what will happen for this checkpoint.
  bool adds_bos(BosRule rule) const;

  std::optional<TokenId> bos_id() const;
  std::optional<TokenId> eos_id() const;
  /// Largest id with a string, plus one. The model's vocab_size may be larger (padding rows).
  int64_t vocab_size() const;
  bool is_special(TokenId id) const;
  /// chat_template.jinja of the folder, else chat_template of tokenizer_config.json, when there is one.
  const std::optional<std::string>& chat_template() const;
  /// SHA-256 of tokenizer.json's bytes.
  const Sha256Digest& sha256() const;

 private:
  struct Impl;
  explicit Tokenizer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace fathom::engine
