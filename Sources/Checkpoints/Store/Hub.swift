import Foundation

#if canImport(FoundationNetworking)
  import FoundationNetworking
#endif

/// A model hub that is read over HTTP: `api/models/<owner>/<name>` lists the files of a model, and
/// `<owner>/<name>/resolve/main/<file>` serves one.
public struct Hub: Sendable {
  /// Address that the paths above are relative to.
  public let base: URL
  /// Pause before a broken transfer is taken up again.
  public let retryDelay: Duration
  /// Transfers in a row that may break without a single new byte before `pull` gives up.
  public let attempts: Int

  private static let publicHub = URL(string: "https://huggingface.co")

  /// - Parameter base: The address in `FORETOKEN_HUB`, or of the public hub, if nil.
  public init(base: URL? = nil, retryDelay: Duration = .seconds(1), attempts: Int = 4) {
    let configured = ProcessInfo.processInfo.environment["FORETOKEN_HUB"]
      .flatMap { $0.isEmpty ? nil : URL(string: $0) }
    self.base = base ?? configured ?? Self.publicHub ?? URL(filePath: "/")
    self.retryDelay = retryDelay
    self.attempts = attempts
  }

  func address(of file: String, in id: HubID) -> URL {
    base.appending(path: "\(id.owner)/\(id.name)/resolve/main/\(file)")
  }

  private func listingAddress(of id: HubID) -> URL {
    base.appending(path: "api/models/\(id.owner)/\(id.name)")
  }

  private struct Listing: Decodable {
    struct File: Decodable {
      let rfilename: String
    }
    let siblings: [File]
  }

  private static let listingLimit = 16 << 20

  /// The one `.gguf` file of the model.
  ///
  /// - Throws: `StoreError.ambiguous` with all of them if there are several.
  func onlyModelFile(of id: HubID, reference: String, destination: String) async throws -> String {
    let url = listingAddress(of: id)
    let sink = MemorySink(limit: Self.listingLimit)
    do {
      _ = try await HubTransfer.run(URLRequest(url: url), sink: sink)
    } catch let failure as HubTransfer.Failure {
      throw failure.storeError(reference: reference, destination: destination)
    }
    guard let listing = try? JSONDecoder().decode(Listing.self, from: sink.data) else {
      throw StoreError.downloadFailed(reference, detail: "\(url) has not answered with a listing")
    }
    let names = listing.siblings.map(\.rfilename).filter { $0.lowercased().hasSuffix(".gguf") }
    if let unsafe = names.first(where: { !HubID.isSafePath($0) }) {
      throw StoreError.downloadFailed(
        reference, detail: "the hub lists a file with the unsafe name \(unsafe.debugDescription)")
    }
    guard let name = names.first else {
      throw StoreError.invalidReference(reference, reason: "the model has no .gguf file")
    }
    guard names.count == 1 else {
      throw StoreError.ambiguous(
        reference, choices: names.sorted().map { "hf:\(id.owner)/\(id.name)/\($0)" })
    }
    return name
  }
}
