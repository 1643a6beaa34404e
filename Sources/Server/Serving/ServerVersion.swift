/// What the server says of itself.
enum ServerVersion {
  static let version = "0.1.0"
  /// Changes when the same request and seed may give another text.
  static let fingerprint = "foretoken-0.1.0"
}
