import Foretoken
import Foundation
import Hummingbird

/// `POST /v1/embeddings`: pooled states of the decoder.
struct EmbeddingsEndpoint {
  private enum Format: String, CaseIterable { case float, base64 }

  let server: ServerState

  func answer(_ incoming: IncomingRequest) async throws -> Response {
    var fields = try Fields(try await incoming.json(limits: server.options))
    let served = try server.model(named: try fields.requiredString("model"))
    let inputs = try TextInput.read(&fields, "input")
    let format = try fields.word("encoding_format", of: Format.self) ?? .float
    let size = served.model.configuration.hiddenSize
    if let wanted = try fields.integer("dimensions", 1...Int(Int32.max)), wanted != size {
      throw APIError.invalid(
        "dimensions is \(wanted); vectors of this model have \(size) and cannot be shortened",
        parameter: "dimensions", code: "invalid_value")
    }
    fields.ignore("user")
    try fields.finish()
    let limit = server.options.contextLimit(served.model)
    let texts = try inputs.map { input -> [Int32] in
      let tokens = try input.tokens(served.model.tokenizer, parameter: "input")
      guard tokens.count <= limit else {
        throw APIError.invalid(
          "a text of the input has \(tokens.count) tokens, there is room for \(limit)",
          parameter: "input", code: "context_length_exceeded")
      }
      return tokens
    }
    let vectors = try await vectors(of: texts, served.model, incoming)
    let count = texts.reduce(0) { $0 + $1.count }
    incoming.record.update { $0.promptTokens = count }
    return .json([
      "object": "list", "model": .string(served.name),
      "data": .array(
        vectors.enumerated().map { index, vector in
          [
            "object": "embedding", "index": .integer(index),
            "embedding": Self.value(vector, format),
          ]
        }),
      "usage": ["prompt_tokens": .integer(count), "total_tokens": .integer(count)],
    ])
  }

  private func vectors(
    of texts: [[Int32]], _ model: LanguageModel, _ incoming: IncomingRequest
  ) async throws -> [[Float]] {
    let timeout = server.options.requestTimeout
    let ticket = try await server.admission.enter(
      places: 1, client: incoming.client, lifetime: incoming.lifetime)
    defer { ticket?.release() }
    let cancellation = GenerationCancellation()
    incoming.lifetime.onEnd { cancellation.cancel() }
    var vectors: [[Float]] = []
    for tokens in texts {
      if let error = incoming.lifetime.error(timeout: timeout) { throw error }
      do {
        vectors.append(try await model.generator.embedding(of: tokens, cancellation: cancellation))
      } catch is CancellationError {
        throw incoming.lifetime.error(timeout: timeout) ?? APIError.shuttingDown
      } catch {
        throw RequestErrors.error(for: error)
      }
    }
    return vectors
  }

  private static func value(_ vector: [Float], _ format: Format) -> JSONValue {
    switch format {
    case .float: return .array(vector.map { .number(Double($0)) })
    case .base64:
      let bytes = vector.flatMap { value in
        withUnsafeBytes(of: value.bitPattern.littleEndian) { Array($0) }
      }
      return .string(Data(bytes).base64EncodedString())
    }
  }
}
