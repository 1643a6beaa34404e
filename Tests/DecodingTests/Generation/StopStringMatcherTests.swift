import Testing

@testable import Decoding

@Suite struct StopStringMatcherTests {
  /// Runs the pieces; returns the text and the stop string.
  private func run(_ stops: [String], _ pieces: [String]) -> (text: String, stop: String?) {
    var matcher = StopStringMatcher(stops)
    var text = ""
    for piece in pieces {
      let match = matcher.append(piece)
      text += match.text
      if let stop = match.stop { return (text, stop) }
    }
    return (text + matcher.finish(), nil)
  }

  @Test("the text ends before the stop string, however the text is cut")
  func anyCut() {
    let text = "one two\nthree\n\nfour"
    for first in 0...text.count {
      for second in first...text.count {
        let pieces = [
          String(text.prefix(first)), String(text.prefix(second).dropFirst(first)),
          String(text.dropFirst(second)),
        ]
        let found = run(["\n\n", "four"], pieces)
        #expect(found.text == "one two\nthree")
        #expect(found.stop == "\n\n")
      }
    }
  }

  @Test("text that only begins like a stop string comes out")
  func falseAlarm() {
    #expect(run(["</answer>"], ["a </ans", "wer b </answer"]).text == "a </answer b </answer")
  }

  @Test("only what could begin a stop string is held back")
  func heldBack() {
    var matcher = StopStringMatcher(["END"])
    #expect(matcher.append("xE").text == "x")
    #expect(matcher.append("E").text == "E")
    #expect(matcher.append("N").text == "")
    #expect(matcher.append("D") == .init(text: "", stop: "END"))
  }

  @Test("a stop string that overlaps itself is found")
  func selfOverlap() {
    #expect(run(["aab"], ["aaaaab", "c"]).text == "aaa")
    #expect(run(["abab"], ["ab", "ac", "ab", "ab"]).text == "abac")
  }

  @Test("of stop strings that end together the longest counts")
  func longest() {
    let found = run(["b", "ab"], ["xab"])
    #expect(found.text == "x")
    #expect(found.stop == "ab")
  }

  @Test("the stop string that is complete first counts")
  func earliest() {
    let found = run(["bcd", "c"], ["abcd"])
    #expect(found.text == "ab")
    #expect(found.stop == "c")
  }

  @Test("stop strings match over the border of a grapheme")
  func graphemes() {
    // A flag is two regional indicators; the accent is a combining mark of its own.
    #expect(run(["\u{301}"], ["cafe", "\u{301} bar"]).text == "cafe")
    #expect(run(["🇫"], ["🇩🇪🇫🇷"]).text == "🇩🇪")
  }

  @Test("without stop strings nothing is held back")
  func none() {
    var matcher = StopStringMatcher([])
    #expect(matcher.append("text") == .init(text: "text", stop: nil))
  }
}
