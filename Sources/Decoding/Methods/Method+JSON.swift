import Tokenization

extension Method {
  /// The system as `foretoken methods --json` prints it and the server tells it.
  public var json: JSONValue {
    [
      "number": number.map { .integer($0) } ?? .null,
      "card": .string(card), "name": .string(name), "area": .string(area.rawValue),
      "summary": .string(summary), "guarantee": .string(guarantee.rawValue),
      "status": .string(status.rawValue),
      "option": selector.map { .string($0.option) } ?? .null,
      "values": .array(selector?.values.map { .string($0) } ?? []),
      "example": .string(example),
      "paper": paper.map { ["title": .string($0.title), "url": .string($0.url)] } ?? .null,
    ]
  }
}
