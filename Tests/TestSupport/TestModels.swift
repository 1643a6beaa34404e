import Checkpoints
import Foundation

/// Real models for tests, from the same store that users have.
public enum TestModels {
  /// The weights file of `alias`, fetched first if it is not on this machine yet. A model that
  /// cannot be fetched fails the test that asks for it.
  public static func path(_ alias: String) async throws -> URL {
    try await ModelStore().pull(alias).url
  }
}
