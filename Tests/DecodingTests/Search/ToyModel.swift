import Checkpoints
import Foretoken
import TestSupport
import Tokenization
import Transformers

/// A random decoder whose vocabulary is a few letters and an end token, for searches that can be
/// compared with looking at every text.
final class ToyModel: Sendable {
  /// Ids are 0 for `a`, 1 for `b`, …; the end token is the last one.
  let letters: Int
  let tokenizer: Tokenizer
  private let folder: TemporaryFolder

  var end: Int32 { Int32(letters) }
  var vocabularyCount: Int { letters + 1 }

  /// - Parameters:
  ///   - letters: at most 26.
  ///   - sharpness: how much the likeliest token stands out.
  ///   - endBias: weight of the end token's row, below 1 to make texts longer.
  ///   - hasSpace: makes the last letter a space.
  init(
    letters: Int = 4, seed: UInt64 = 1, sharpness: Float = 6, endBias: Float = 1,
    hasSpace: Bool = false
  ) throws {
    self.letters = letters
    folder = try TemporaryFolder()
    var names = (0..<letters).map { String(Character(Unicode.Scalar(UInt8(97 + $0)))) }
    // The space of the byte-level alphabet.
    if hasSpace { names[letters - 1] = "\u{120}" }
    var definition = TokenizerDefinition(
      model: "gpt2", tokens: try StringTable(names + ["<end>"]), preTokenizer: "gpt-2")
    definition.merges = try StringTable([])
    definition.tokenTypes = [Int32](repeating: 1, count: letters) + [3]
    definition.eosToken = Int32(letters)
    tokenizer = try Tokenizer(definition)
    try Self.write(
      to: folder.path("toy.gguf"), vocabulary: letters + 1, seed: seed, sharpness: sharpness,
      endBias: endBias)
  }

  /// The token of a letter, or of the space.
  func token(_ letter: Character) -> Int32 {
    letter == " " ? Int32(letters - 1) : Int32(letter.asciiValue ?? 97) - 97
  }

  /// An engine of its own: any number of them give the same bits.
  func makeEngine(contextLimit: Int = 256) throws -> ForwardEngine {
    let file = try GGUFFile(path: folder.path("toy.gguf"))
    return try ForwardEngine(
      model: Transformer(file: file, threads: 1), threads: 1, contextLimit: contextLimit)
  }

  /// A generator of its own.
  func makeGenerator(contextLimit: Int = 256) throws -> Generator {
    try Generator(
      engine: makeEngine(contextLimit: contextLimit), tokenizer: tokenizer,
      executor: ThreadExecutor(name: "toy"))
  }

  private static let hidden = 32

  private static func write(
    to path: String, vocabulary: Int, seed: UInt64, sharpness: Float, endBias: Float
  ) throws {
    var writer = GGUFWriter()
    var random = SeededGenerator(seed: seed)
    writer.set("general.architecture", .string("llama"))
    for (key, value) in [
      ("block_count", 2), ("embedding_length", hidden), ("feed_forward_length", 64),
      ("attention.head_count", 2), ("attention.head_count_kv", 1), ("attention.key_length", 16),
      ("attention.value_length", 16), ("context_length", 4096),
    ] {
      writer.set("llama.\(key)", .uint32(UInt32(value)))
    }
    writer.set("llama.attention.layer_norm_rms_epsilon", .float32(1e-5))
    func add(_ name: String, _ shape: [Int], spread: Float, centre: Float = 0) throws {
      let values = (0..<shape.reduce(1, *)).map { index in
        let value = centre + spread * (random.unit() - 0.5)
        let isEnd = name == "output.weight" && index / hidden == vocabulary - 1
        return isEnd ? value * endBias : value
      }
      try writer.addTensor(name, shape: shape, values: values)
    }
    let matrix = 2 / Float(hidden).squareRoot()
    try add("token_embd.weight", [hidden, vocabulary], spread: 2)
    try add("output.weight", [hidden, vocabulary], spread: sharpness / Float(hidden).squareRoot())
    try add("output_norm.weight", [hidden], spread: 0.5, centre: 1)
    for layer in 0..<2 {
      let prefix = "blk.\(layer)"
      try add("\(prefix).attn_norm.weight", [hidden], spread: 0.5, centre: 1)
      try add("\(prefix).ffn_norm.weight", [hidden], spread: 0.5, centre: 1)
      try add("\(prefix).attn_q.weight", [hidden, 32], spread: 2 * matrix)
      try add("\(prefix).attn_k.weight", [hidden, 16], spread: 2 * matrix)
      try add("\(prefix).attn_v.weight", [hidden, 16], spread: 2 * matrix)
      try add("\(prefix).attn_output.weight", [32, hidden], spread: 2 * matrix)
      try add("\(prefix).ffn_gate.weight", [hidden, 64], spread: matrix)
      try add("\(prefix).ffn_up.weight", [hidden, 64], spread: matrix)
      try add("\(prefix).ffn_down.weight", [64, hidden], spread: matrix)
    }
    try writer.write(to: path)
  }
}
