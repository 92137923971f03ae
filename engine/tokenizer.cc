#include "engine/tokenizer.h"

#include <algorithm>
#include <mutex>
#include <unordered_map>
#include <utility>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/utf8.h"
#include "engine/added_tokens.h"
#include "engine/bpe.h"
#include "engine/byte_level.h"
#include "engine/piece_cache.h"
#include "engine/pre_tokenizer.h"
#include "engine/tokenizer_config.h"
#include "engine/tokenizer_json.h"

namespace fathom::engine {
namespace {

// Working memory of one call to encode().
struct Scratch {
  std::string text;
  std::vector<SpecialRegion> regions;
  std::vector<TextSegment> segments;
  std::vector<uint8_t> classes;
  std::vector<size_t> piece_ends;
  Bpe::Scratch bpe;
  PieceCache cache;
};

// Lends Scratch to calls, so that words stay cached from one call to the next and as many are made as threads
// ever encode at once.
class ScratchPool {
 public:
  class Lease {
   public:
    explicit Lease(ScratchPool& pool) : pool_(pool), scratch_(pool.take()) {}
    ~Lease() { pool_.give_back(std::move(scratch_)); }
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;
    Scratch& scratch() const { return *scratch_; }

   private:
    ScratchPool& pool_;
    std::unique_ptr<Scratch> scratch_;
  };

 private:
  std::unique_ptr<Scratch> take() {
    const std::lock_guard lock(mutex_);
    if (free_.empty()) return std::make_unique<Scratch>();
    std::unique_ptr<Scratch> scratch = std::move(free_.back());
    free_.pop_back();
    return scratch;
  }

  void give_back(std::unique_ptr<Scratch> scratch) {
    constexpr size_t kKeptBytes = 4 << 20;  // one long text must not hold its memory for ever
    if (scratch->classes.capacity() > kKeptBytes) return;
    const std::lock_guard lock(mutex_);
    free_.push_back(std::move(scratch));
  }

  std::mutex mutex_;
  std::vector<std::unique_ptr<Scratch>> free_;
};

// Single bytes must have tokens: text must never be dropped. C0, C1 and F5 to FF are in no valid UTF-8.
std::array<TokenId, 256> byte_tokens(const std::vector<std::string>& vocabulary, const std::string& where) {
  std::array<TokenId, 256> tokens;
  tokens.fill(-1);
  for (size_t id = 0; id < vocabulary.size(); ++id) {
    if (vocabulary[id].size() > 2) continue;
    const std::optional<std::string> bytes = byte_level_bytes(vocabulary[id]);
    if (bytes && bytes->size() == 1) tokens[static_cast<uint8_t>((*bytes)[0])] = static_cast<TokenId>(id);
  }
  for (int byte = 0; byte < 0xF5; ++byte) {
    if (tokens[static_cast<size_t>(byte)] >= 0 || byte == 0xC0 || byte == 0xC1) continue;
    std::string character;
    append_utf8(character, byte_level_character(static_cast<uint8_t>(byte)));
    bad_input(where, "model.vocab has no token for byte 0x{:02X} (the character {})", byte,
              json_quoted(character));
  }
  return tokens;
}

}  // namespace

struct Tokenizer::Impl {
  Impl(TokenizerJson json, const std::string& where)
      : pre_tokenizer(std::move(json.pre_tokenizer)),
        bpe(byte_tokens(json.vocabulary, where), json.merges),
        added_tokens(json.added_tokens) {
    splits_at_line_feeds =
        pre_tokenizer.isolates_line_breaks() &&
        std::none_of(json.added_tokens.begin(), json.added_tokens.end(),
                     [](const AddedToken& token) { return token.content.find('\n') != std::string::npos; });
    store_token_bytes(json);
    if (json.ignore_merges) index_whole_pieces(json.vocabulary.size());
  }

  void store_token_bytes(const TokenizerJson& json) {
    std::vector<std::string_view> texts(json.vocabulary.begin(), json.vocabulary.end());
    for (const AddedToken& token : json.added_tokens) {
      const auto id = static_cast<size_t>(token.id);
      if (id == texts.size()) texts.push_back(token.content);
    }
    special.resize(texts.size());
    for (const AddedToken& token : json.added_tokens) special[static_cast<size_t>(token.id)] = token.special;
    ends.reserve(texts.size());
    for (const std::string_view text : texts) {
      bytes += byte_level_bytes(text).value_or(std::string(text));
      ends.push_back(bytes.size());
    }
  }

  void index_whole_pieces(size_t vocabulary_size) {
    for (size_t id = 0; id < vocabulary_size; ++id)
      whole_pieces.emplace(bytes_of(id), static_cast<TokenId>(id));
  }

  std::string_view bytes_of(size_t id) const {
    const size_t begin = id == 0 ? 0 : ends[id - 1];
    return std::string_view(bytes).substr(begin, ends[id] - begin);
  }

  void encode_piece(std::string_view piece, Bpe::Scratch& scratch, std::vector<TokenId>& ids) const {
    if (const auto whole = whole_pieces.find(piece); whole != whole_pieces.end()) {
      ids.push_back(whole->second);
    } else {
      bpe.encode(piece, scratch, ids);
    }
  }

  // Text without added tokens.
  void encode_plain(std::string_view text, Scratch& scratch, std::vector<TokenId>& ids) const {
    const auto compute = [&](std::string_view piece, std::vector<TokenId>& out) {
      encode_piece(piece, scratch.bpe, out);
    };
    pre_tokenizer.split(text, scratch.classes, scratch.piece_ends);
    size_t begin = 0;
    for (const size_t end : scratch.piece_ends) {
      scratch.cache.append(text.substr(begin, end - begin), ids, compute);
      begin = end;
    }
  }

  TokenId require_token(const std::string& content, const std::vector<AddedToken>& tokens) const {
    const auto found =
        std::find_if(tokens.begin(), tokens.end(), [&](const AddedToken& t) { return t.content == content; });
    FATHOM_CHECK(found != tokens.end(), "{}", content);  // parse_tokenizer_config has refused it otherwise
    return found->id;
  }

  PreTokenizer pre_tokenizer;
  Bpe bpe;
  AddedTokens added_tokens;
  std::unordered_map<std::string_view, TokenId> whole_pieces;  // empty unless ignore_merges
  std::string bytes;                                           // of all tokens, one after the other
  std::vector<size_t> ends;                                    // in `bytes`, by id
  std::vector<bool> special;                                   // by id
  std::optional<TokenId> bos_id;
  std::optional<TokenId> eos_id;
  bool add_bos = false;
  bool splits_at_line_feeds = false;
  std::optional<std::string> chat_template;
  Sha256Digest sha256;
  mutable ScratchPool scratch_pool;
};

Tokenizer::Tokenizer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Tokenizer::~Tokenizer() = default;
Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;
Tokenizer& Tokenizer::operator=(Tokenizer&&) noexcept = default;

Tokenizer Tokenizer::parse(const TokenizerFiles& files) {
  TokenizerJson json = parse_tokenizer_json(files.tokenizer_json, files.folder + "tokenizer.json");
  const std::string config_where = files.folder + "tokenizer_config.json";
  const TokenizerConfig config =
      parse_tokenizer_config(files.tokenizer_config_json, json.added_tokens, config_where);
  const std::vector<AddedToken> added_tokens = json.added_tokens;
  const std::optional<TokenId> template_bos = json.template_bos;
  auto impl = std::make_unique<Impl>(std::move(json), files.folder + "tokenizer.json");
  if (config.bos_token) impl->bos_id = impl->require_token(*config.bos_token, added_tokens);
  if (config.eos_token) impl->eos_id = impl->require_token(*config.eos_token, added_tokens);
  impl->add_bos = config.add_bos_token.value_or(template_bos.has_value());
  if (template_bos && impl->bos_id != template_bos) {
    bad_input(config_where, "bos_token has id {}, but tokenizer.json's post_processor adds id {}",
              impl->bos_id ? std::to_string(*impl->bos_id) : "none", *template_bos);
  }
  if (impl->add_bos && !impl->bos_id)
    bad_input(config_where, "add_bos_token is true, but there is no bos_token");
  impl->chat_template = files.chat_template_jinja ? files.chat_template_jinja : config.chat_template;
  impl->sha256 = fathom::sha256(files.tokenizer_json);
  return Tokenizer(std::move(impl));
}

Tokenizer Tokenizer::load(const std::filesystem::path& model_dir) {
  const MappedFile tokenizer_json(model_dir / "tokenizer.json");
  const std::string config = read_file(model_dir / "tokenizer_config.json");
  TokenizerFiles files{.tokenizer_json = tokenizer_json.text(),
                       .tokenizer_config_json = config,
                       .folder = (model_dir / "").string()};
  const std::filesystem::path chat_template = model_dir / "chat_template.jinja";
  if (std::filesystem::exists(chat_template)) files.chat_template_jinja = read_file(chat_template);
  return parse(files);
}

std::vector<TokenId> Tokenizer::encode(std::string_view text, SpecialTokens special,
                                       int64_t* n_invalid_bytes) const {
  const TextPart part{text, special};
  return encode(std::span(&part, 1), n_invalid_bytes);
}

std::vector<TokenId> Tokenizer::encode(std::span<const TextPart> parts, int64_t* n_invalid_bytes) const {
  const ScratchPool::Lease lease(impl_->scratch_pool);
  Scratch& scratch = lease.scratch();
  scratch.text.clear();
  scratch.regions.clear();
  int64_t n_invalid = 0;
  for (const TextPart& part : parts) {
    n_invalid += append_valid_utf8(scratch.text, part.text);
    scratch.regions.push_back({scratch.text.size(), part.special == SpecialTokens::kParse});
  }
  if (n_invalid_bytes != nullptr) *n_invalid_bytes = n_invalid;

  const std::string_view text = scratch.text;
  std::vector<TokenId> ids;
  ids.reserve(text.size() / 3);
  impl_->added_tokens.split(text, scratch.regions, scratch.segments);
  for (const TextSegment& segment : scratch.segments) {
    if (segment.id >= 0) {
      ids.push_back(segment.id);
    } else {
      impl_->encode_plain(text.substr(segment.begin, segment.end - segment.begin), scratch, ids);
    }
  }
  return ids;
}

std::string Tokenizer::decode(std::span<const TokenId> ids, DecodeSpecial special) const {
  std::string bytes;
  for (const TokenId id : ids) {
    if (special == DecodeSpecial::kSkip && is_special(id)) continue;
    bytes += token_bytes(id);
  }
  if (valid_utf8_prefix(bytes) == bytes.size()) return bytes;
  std::string text;
  append_valid_utf8(text, bytes);
  return text;
}

std::string_view Tokenizer::token_bytes(TokenId id) const {
  if (id < 0 || id >= vocab_size()) return {};
  return impl_->bytes_of(static_cast<size_t>(id));
}

std::vector<TokenId> Tokenizer::with_bos(std::vector<TokenId> ids, BosRule rule) const {
  if (adds_bos(rule) && (ids.empty() || ids[0] != *impl_->bos_id)) ids.insert(ids.begin(), *impl_->bos_id);
  return ids;
}

bool Tokenizer::adds_bos(BosRule rule) const {
  if (rule == BosRule::kOn && !impl_->bos_id) {
    throw Error(ErrorKind::kBadInput, "--bos on, but tokenizer_config.json names no bos_token");
  }
  return rule == BosRule::kOn || (rule == BosRule::kCheckpoint && impl_->add_bos);
}

bool Tokenizer::splits_at_line_feeds() const {
  return impl_->splits_at_line_feeds;
}

std::optional<TokenId> Tokenizer::bos_id() const {
  return impl_->bos_id;
}
std::optional<TokenId> Tokenizer::eos_id() const {
  return impl_->eos_id;
}
int64_t Tokenizer::vocab_size() const {
  return static_cast<int64_t>(impl_->ends.size());
}
bool Tokenizer::is_special(TokenId id) const {
  return id >= 0 && id < vocab_size() && impl_->special[static_cast<size_t>(id)];
}
const std::optional<std::string>& Tokenizer::chat_template() const {
  return impl_->chat_template;
}
const Sha256Digest& Tokenizer::sha256() const {
  return impl_->sha256;
}

}  // namespace fathom::engine
