/// Places of records by key, at most `capacity` of them, for tables that must not grow for ever.
///
/// A key that is new to a full index takes the place of one that was not touched since the clock's
/// hand came by last (the second-chance rule), so that what is in use stays. Which one that is
/// depends on the order of calls only, never on how a dictionary happens to hash.
///
/// Memory: about 30 bytes for each key.
struct SecondChanceIndex {
  /// Most keys.
  let capacity: Int
  private var places: [UInt64: Int32] = [:]
  private var keys: [UInt64] = []
  private var isUsed: [Bool] = []
  private var hand = 0

  /// - Parameter capacity: at least 1.
  init(capacity: Int) { self.capacity = min(max(capacity, 1), Int(Int32.max)) }

  /// Number of keys.
  var count: Int { keys.count }

  /// Every key with its place, in order of places.
  var entries: [(key: UInt64, place: Int)] { zip(keys, keys.indices).map { ($0, $1) } }

  /// Place of a key; nil if it is not there.
  func place(of key: UInt64) -> Int? { places[key].map(Int.init) }

  /// Says that the record at this place is in use.
  mutating func touch(_ place: Int) { isUsed[place] = true }

  /// Gives a key that is not there yet a place: `count` as it was, or that of a record to
  /// overwrite.
  mutating func insert(_ key: UInt64) -> Int {
    if keys.count < capacity {
      keys.append(key)
      isUsed.append(false)
      places[key] = Int32(keys.count - 1)
      return keys.count - 1
    }
    while isUsed[hand] {
      isUsed[hand] = false
      hand = (hand + 1) % capacity
    }
    let place = hand
    hand = (hand + 1) % capacity
    places[keys[place]] = nil
    keys[place] = key
    places[key] = Int32(place)
    return place
  }
}
