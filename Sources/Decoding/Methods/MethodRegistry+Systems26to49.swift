extension MethodRegistry {
  /// Systems 26 to 49 of the catalogue.
  static let systems26to49: [Method] = [
    Method(
      number: 26, name: "Diverse Beam Search", card: "diverse-beam-search", area: .search,
      paper: Paper(
        title: "Diverse Beam Search: Decoding Diverse Solutions from Neural Sequence Models",
        arxiv: "1610.02424"),
      summary: "Finds several good texts that differ, by making groups of beams avoid each other's "
        + "tokens.",
      guarantee: .approximate, status: .available,
      selector: MethodSelector(option: "--decode", values: ["diverse-beam"]),
      example: "foretoken run --decode diverse-beam --n 4 \"A title for a story about rain:\""),
    Method(
      number: 27, name: "exact-extract", card: "exact-extract", area: .search,
      paper: Paper(
        title: "How Optimal is Greedy Decoding for Extractive Question Answering?",
        arxiv: "2108.05857"),
      summary: "Finds the span of a passage that the model holds most probable, exactly.",
      guarantee: .approximate, status: .available,
      selector: MethodSelector(option: "--decode", values: ["exact-extract"]),
      example: "foretoken run --decode exact-extract --passage passage.txt \"Who wrote it?\""),
    Method(
      number: 28, name: "Speculative Jacobi Decoding", card: "speculative-jacobi", area: .vision,
      paper: Paper(
        title:
          "Accelerating Auto-regressive Text-to-Image Generation with Training-free Speculative "
          + "Jacobi Decoding",
        arxiv: "2410.01699"),
      summary: "Re-predicts a window of guessed tokens in every pass and commits what has settled.",
      guarantee: .bitwise, status: .available,
      selector: MethodSelector(option: "--speculate", values: ["jacobi"]),
      example: "foretoken run --speculate jacobi \"Count from 1 to 50\""),
    Method(
      number: 29, name: "AdaDec", card: "adadec", area: .search,
      paper: Paper(
        title: "Towards Better Code Generation: Adaptive Decoding with Uncertainty Guidance",
        arxiv: "2506.08980"),
      summary:
        "Pauses greedy code generation where it is unsure, looks ahead and takes the likeliest "
        + "future.",
      guarantee: .approximate, status: .available,
      selector: MethodSelector(option: "--decode", values: ["adadec"]),
      example: "foretoken run --decode adadec --model qwen2.5-coder-0.5b \"def median(xs):\""),
    Method(
      number: 30, name: "Token Recycling", card: "token-recycling", area: .drafters,
      paper: Paper(
        title: "Turning Trash into Treasure: Accelerating Inference of Large Language Models with "
          + "Token Recycling",
        arxiv: "2408.08696"),
      summary:
        "Remembers the candidates the model gave after each token and drafts trees from them.",
      guarantee: .bitwise, status: .available,
      selector: MethodSelector(option: "--speculate", values: ["recycling"]),
      example: "foretoken run --speculate recycling \"Explain recursion\""),
    Method(
      number: 31, name: "Grammar-Aligned Decoding", card: "grammar-aligned-decoding",
      area: .constraints,
      paper: Paper(
        title: "Grammar-Aligned Decoding",
        arxiv: "2405.21047"),
      summary:
        "Obeys a grammar and learns over samples to follow the model's own distribution inside "
        + "it.",
      guarantee: .distribution, status: .available,
      selector: MethodSelector(option: "--align", values: ["asap"]),
      example: "foretoken run --grammar list.gbnf --align asap \"A list:\""),
    Method(
      number: 32, name: "Hydra and Medusa heads", card: "hydra", area: .heads,
      paper: Paper(
        title: "Hydra: Sequentially-Dependent Draft Heads for Medusa Decoding",
        arxiv: "2402.05109"),
      summary: "Small trained heads draft the next tokens, each seeing what was drafted before it.",
      guarantee: .bitwise, status: .available,
      selector: MethodSelector(option: "--speculate", values: ["medusa", "hydra"]),
      example: "foretoken run --speculate hydra \"Explain recursion\""),
    Method(
      number: 33, name: "Markov-categorical analysis", card: "markov-categories",
      area: .interpretability,
      paper: Paper(
        title: "A Markov Categorical Framework for Language Modeling",
        arxiv: "2507.19247"),
      summary: "Measures how random a model's head is and how much its state knows beyond the next "
        + "token.",
      guarantee: .analysis, status: .planned,
      example: "foretoken probe markov"),
    Method(
      number: 34, name: "HyPoradise", card: "hyporadise", area: .speech,
      paper: Paper(
        title: "HyPoradise: An Open Baseline for Generative Speech Recognition with Large Language "
          + "Models",
        arxiv: "2309.15701"),
      summary: "A language model writes the transcript out of a recogniser's list of hypotheses.",
      guarantee: .approximate, status: .planned,
      example: "foretoken transcribe --correct speech.wav"),
    Method(
      number: 35, name: "Sorted Speculative Decoding", card: "s2d", area: .learning,
      paper: Paper(
        title: "S2D: Sorted Speculative Decoding For More Efficient Deployment of Nested Large "
          + "Language Models",
        arxiv: "2407.01955"),
      summary:
        "One draft model holds several nested ones; each token uses the shallowest that is sure "
        + "enough.",
      guarantee: .distribution, status: .planned,
      selector: MethodSelector(option: "--speculate", values: ["s2d"]),
      example: "foretoken run --speculate s2d --model qwen2.5-coder-1.5b \"Write a parser\""),
    Method(
      number: 36, name: "REFRAG", card: "refrag", area: .context,
      paper: Paper(
        title: "REFRAG: Rethinking RAG based Decoding",
        arxiv: "2509.01092"),
      summary:
        "Retrieved passages enter the decoder as one vector per few tokens; a policy expands "
        + "those that matter.",
      guarantee: .approximate, status: .planned,
      selector: MethodSelector(option: "--context-compression", values: ["refrag"]),
      example: "foretoken run --context-compression refrag --file documents.txt \"Who signed it?\""),
    Method(
      number: 37, name: "Contrastive Search", card: "contrastive-search", area: .search,
      paper: Paper(
        title: "Contrastive Search Is What You Need For Neural Text Generation",
        arxiv: "2210.14140"),
      summary: "Takes the probable token whose hidden state is least like those before it, against "
        + "repetition.",
      guarantee: .approximate, status: .available,
      selector: MethodSelector(option: "--decode", values: ["contrastive"]),
      example: "foretoken run --decode contrastive \"Once upon a time\""),
    Method(
      number: 38, name: "FastDraft", card: "fastdraft", area: .learning,
      paper: Paper(
        title: "FastDraft: How to Train Your Draft",
        arxiv: "2411.11055"),
      summary: "Trains a very small draft model for a given target, end to end.",
      guarantee: .bitwise, status: .planned,
      example: "foretoken train fastdraft --model smollm2-135m"),
    Method(
      number: 39, name: "Hyperdimensional Probe", card: "hyperdimensional-probe",
      area: .interpretability,
      paper: Paper(
        title:
          "Hyperdimensional Probe: Decoding LLM Representations via Vector Symbolic Architectures",
        arxiv: "2509.25045"),
      summary: "Reads named concepts and their bindings out of a hidden state.",
      guarantee: .analysis, status: .planned,
      example: "foretoken probe hyperdimensional"),
    Method(
      number: 40, name: "ARC-Encoder", card: "arc-encoder", area: .context,
      paper: Paper(
        title: "ARC-Encoder: learning compressed text representations for large language models",
        arxiv: "2510.20535"),
      summary: "A trained encoder turns a document into few vectors that a frozen decoder reads as "
        + "tokens.",
      guarantee: .approximate, status: .planned,
      selector: MethodSelector(option: "--context-compression", values: ["arc"]),
      example: "foretoken run --context-compression arc --file documents.txt \"Who signed it?\""),
    Method(
      number: 41, name: "Inverse permutation", card: "inverse-permutation", area: .interpretability,
      paper: Paper(
        title: "The Impossibility of Inverse Permutation Learning in Transformer Models",
        arxiv: "2509.24125"),
      summary:
        "Shows by weights set by hand and by training what causal decoders cannot un-shuffle, "
        + "and what helps.",
      guarantee: .analysis, status: .planned,
      example: "foretoken probe inverse-permutation"),
    Method(
      number: 42, name: "Continuous Speculative Decoding", card: "continuous-speculative",
      area: .vision,
      paper: Paper(
        title: "Continuous Speculative Decoding for Autoregressive Image Generation",
        arxiv: "2411.11925"),
      summary: "Speculation for models whose tokens are vectors drawn from a small diffusion head.",
      guarantee: .approximate, status: .planned,
      example: "foretoken image --model continuous --speculate \"a seven\""),
    Method(
      number: 43, name: "RAPID", card: "rapid", area: .context,
      paper: Paper(
        title: "Long-Context Inference with Retrieval-Augmented Speculative Decoding",
        arxiv: "2502.20330"),
      summary: "Drafts from retrieved passages only, and verifies against the whole document.",
      guarantee: .distribution, status: .planned,
      selector: MethodSelector(option: "--speculate", values: ["rapid"]),
      example: "foretoken run --speculate rapid --file book.txt \"Who is the narrator?\""),
    Method(
      number: 44, name: "LocalLeap", card: "localleap", area: .diffusion,
      paper: Paper(
        title: "Accelerating Diffusion LLM Inference via Local Determinism Propagation",
        arxiv: "2510.07081"),
      summary:
        "Near a masked position that is very sure, neighbours may be committed at a lower bar.",
      guarantee: .approximate, status: .planned,
      example: "foretoken diffuse --strategy localleap \"Sort: 3 1 2\""),
    Method(
      number: 45, name: "SelfCodeAlign", card: "selfcodealign", area: .pipelines,
      paper: Paper(
        title: "SelfCodeAlign: Self-Alignment for Code Generation",
        arxiv: "2410.24198"),
      summary:
        "A code model invents tasks from one's sources, solves and tests them, and keeps what "
        + "passes.",
      guarantee: .analysis, status: .planned,
      example: "foretoken pipeline selfcodealign --file sources.txt"),
    Method(
      number: 46, name: "SentenceKV", card: "sentencekv", area: .context,
      paper: Paper(
        title: "SentenceKV: Efficient LLM Inference via Sentence-Level Semantic KV Caching",
        arxiv: "2504.00970"),
      summary:
        "Files a long prompt's cache by sentences and attends only to those like the sentence "
        + "being written.",
      guarantee: .approximate, status: .planned,
      selector: MethodSelector(option: "--kv", values: ["sentence"]),
      example: "foretoken run --kv sentence --file book.txt \"Who is the narrator?\""),
    Method(
      number: 47, name: "CopySpec", card: "copyspec", area: .drafters,
      paper: Paper(
        title: "CopySpec: Accelerating LLMs with Speculative Copy-and-Paste Without Compromising "
          + "Quality",
        arxiv: "2502.08923"),
      summary: "When the latest tokens occurred before, it drafts what followed them then.",
      guarantee: .bitwise, status: .available,
      selector: MethodSelector(option: "--speculate", values: ["copy"]),
      example: "foretoken run --speculate copy \"Repeat the text\""),
    Method(
      number: 48, name: "Hyperfitting", card: "hyperfitting", area: .learning,
      paper: Paper(
        title: "The Hyperfitting Phenomenon: Sharpening and Stabilizing LLMs for Open-Ended Text "
          + "Generation",
        arxiv: "2412.04318"),
      summary: "Fine-tunes on a tiny set to near-zero loss, after which greedy text stops looping.",
      guarantee: .approximate, status: .planned,
      example: "foretoken train hyperfit --model smollm2-135m"),
    Method(
      number: 49, name: "Differentiable cache augmentation", card: "cache-augmentation",
      area: .learning,
      paper: Paper(
        title: "Deliberation in Latent Space via Differentiable Cache Augmentation",
        arxiv: "2412.17747"),
      summary:
        "A side network reads the cache once and appends vectors that make the next predictions "
        + "better.",
      guarantee: .approximate, status: .planned,
      selector: MethodSelector(option: "--augment", values: ["coprocessor"]),
      example: "foretoken run --augment coprocessor \"What is 17 * 24?\""),
  ]
}
