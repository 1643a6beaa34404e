import Foretoken
import HTTPTypes
import Hummingbird

/// What answers a method at a path.
struct Route: Sendable {
  let method: HTTPRequest.Method
  /// Whether it answers without a key.
  var isPublic = false
  let answer: @Sendable (ServerState, IncomingRequest) async throws -> Response
}

/// All that can be asked.
enum Routes {
  /// By path.
  static let all: [String: [Route]] = [
    "/health": [Route(method: .get, isPublic: true) { server, _ in Health.answer(server) }],
    "/foretoken/methods": [Route(method: .get) { _, _ in .json(MethodsEndpoint.answer) }],
    "/foretoken/model": [
      Route(method: .get) { server, _ in .json(ModelFactsEndpoint.answer(server)) }
    ],
    "/v1/models": [Route(method: .get) { server, _ in ModelsEndpoint.list(server) }],
    "/v1/chat/completions": [
      Route(method: .post) { try await ChatEndpoint(server: $0).answer($1) }
    ],
    "/v1/completions": [
      Route(method: .post) { try await CompletionEndpoint(server: $0).answer($1) }
    ],
    "/v1/embeddings": [
      Route(method: .post) { try await EmbeddingsEndpoint(server: $0).answer($1) }
    ],
    "/tokenize": [Route(method: .post) { try await TokenEndpoints.tokenize($0, $1) }],
    "/detokenize": [Route(method: .post) { try await TokenEndpoints.detokenize($0, $1) }],
    "/metrics": [
      Route(method: .get) { server, _ in
        .text(await server.metrics.text(server), type: "text/plain; version=0.0.4")
      }
    ],
    "/openapi.json": [
      Route(method: .get, isPublic: true) { server, _ in .json(OpenAPI.document(server)) }
    ],
  ]

  /// The methods of a path, for headers and messages.
  static func methods(_ routes: [Route]) -> String {
    let names = routes.flatMap { $0.method == .get ? ["GET", "HEAD"] : [$0.method.rawValue] }
    return names.joined(separator: ", ")
  }

  /// The path as metrics show it: one of a few.
  static func label(_ path: String) -> String {
    all[path] != nil ? path : StudioFiles.all[path] != nil ? "studio" : "other"
  }

  /// A file of the page.
  static func studio(_ path: String) -> [Route]? {
    guard let file = StudioFiles.all[path] else { return nil }
    return [Route(method: .get, isPublic: true) { _, _ in file.response }]
  }
}

/// `GET /health`.
enum Health {
  static func answer(_ server: ServerState) -> Response {
    let load = server.admission.load
    let isDraining = server.connections.isDraining
    return .json(
      [
        "status": isDraining ? "draining" : "ok", "model": .string(server.host.served.name),
        "running": .integer(load.running), "waiting": .integer(load.waiting),
      ], status: isDraining ? .serviceUnavailable : .ok)
  }
}

/// `GET /v1/models`.
enum ModelsEndpoint {
  static func list(_ server: ServerState) -> Response {
    let served = server.host.served
    let model = served.model
    return .json([
      "object": "list",
      "data": [
        [
          "id": .string(served.name), "object": "model", "created": .integer(served.created),
          "owned_by": "foretoken",
          "foretoken": [
            "architecture": .string(model.configuration.architecture.rawValue),
            "layers": .integer(model.configuration.layerCount),
            "vocabulary": .integer(model.configuration.vocabularyCount),
            "context": .integer(server.options.contextLimit(model)),
            "chat": .bool(served.template != nil),
          ],
        ]
      ],
    ])
  }
}
