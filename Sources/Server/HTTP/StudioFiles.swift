import HTTPTypes
import Hummingbird
import NIOCore

/// The files of the page, which are part of the program.
enum StudioFiles {
  /// A file and its type.
  struct File: Sendable {
    let bytes: [UInt8]
    let type: String

    /// The file as an answer. The page may load nothing from elsewhere.
    var response: Response {
      Response(
        status: .ok,
        headers: [
          .contentType: type, .cacheControl: "no-cache",
          .contentSecurityPolicy:
            "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
        ],
        body: ResponseBody(byteBuffer: ByteBuffer(bytes: bytes)))
    }
  }

  /// The files by the path that they are served at; the page itself is at `/`.
  static let all: [String: File] = Dictionary(
    uniqueKeysWithValues: contents.map { name, type, text in
      (name == "index.html" ? "/" : "/" + name, File(bytes: Array(text.utf8), type: type))
    })
}
