/// Beginnings of open-ended texts, written for these tests.
enum OpenPrompts {
  static let all = [
    "The old lighthouse had not been lit for thirty years when",
    "In the spring of 1923 the two sisters left their village and",
    "Scientists who study the deep sea have long wondered why",
    "The city council met on Tuesday evening to discuss",
    "My grandmother kept a wooden box under her bed, and inside it",
    "The history of bread begins with",
    "When the train stopped in the middle of the field,",
    "Most people believe that bats are blind, but",
    "The new museum in the harbour district opened its doors and",
    "It was the coldest winter that anyone in the valley could remember.",
    "The orchestra had been rehearsing for three weeks when the conductor",
    "A good teacher is someone who",
    "The expedition reached the foot of the glacier on the ninth day,",
    "The market in the old town is famous for",
    "Long before there were maps of this coast, sailors",
    "The detective put the letter back on the table and said",
    "Learning to play the violin as an adult",
    "The river has changed its course many times, and",
    "In recent years more and more young families have moved to",
    "The last speaker of the language died in",
    "At the end of the street there was a shop that sold nothing but",
    "The bridge was built in less than two years, although",
    "Bees communicate with each other by",
    "The mayor of the small island announced that",
    "Nobody knew where the stranger had come from, but",
    "The first computers filled whole rooms and",
    "After the storm the beach was covered with",
    "The recipe has been in our family for generations:",
    "The championship match began under a grey sky, and",
    "Volcanoes form where",
    "She opened the door of the greenhouse and",
    "The library's oldest book is",
    "The company was founded in a garage by",
    "Early in the morning, before the tourists arrive,",
    "Sleep is important because",
    "The painter spent the last years of his life in",
    "The forest north of the lake is home to",
    "In the middle of the night the telephone rang, and",
    "The price of coffee has risen sharply since",
    "The robot looked at the flower for a long time before it",
  ]
}

/// How much texts repeat themselves, by words: the measures of contrastive search's paper.
struct Repetition {
  /// 1 - distinct n-grams / n-grams for n = 2, 3, 4; n-grams are distinct within their text.
  let shares: [Double]

  init(_ texts: [String]) {
    let words = texts.map { $0.split(whereSeparator: \.isWhitespace) }
    shares = (2...4).map { length in
      var (distinct, total) = (0, 0)
      for text in words where text.count >= length {
        let grams = (0...text.count - length).map { text[$0..<$0 + length].joined(separator: " ") }
        distinct += Set(grams).count
        total += grams.count
      }
      return total == 0 ? 0 : 1 - Double(distinct) / Double(total)
    }
  }

  /// The product of what is not repeated.
  var diversity: Double { shares.reduce(1) { $0 * (1 - $1) } }
}
