import Checkpoints
import Tokenization

extension GGUFValue {
  /// The value in JSON; arrays, which are long, as their type and length.
  public var json: JSONValue {
    if let integer { return .integer(integer) }
    if let double { return .number(double) }
    if case .bool(let flag) = self { return .bool(flag) }
    return .string("\(self)")
  }
}
