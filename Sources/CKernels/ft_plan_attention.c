#include "ft_kv.h"
#include "ft_run.h"

// Attention is cut into units: up to FT_LINES lines of one sequence and key/value head. Few units
// over a long context are cut by spans as well, and the spans' sums are joined in order afterwards:
// the same arithmetic as a unit that walks its spans itself.

typedef struct {
  int32_t sequence;
  int32_t kv_head;
  int32_t first_line;  // row in sequence * group + head in group
} attention_unit;

static int32_t group_size(const ft_run *run) {
  return run->plan->attention.heads / run->plan->attention.kv_heads;
}

static int32_t sequence_tiles(const ft_run *run, const ft_sequence *sequence) {
  return ft_ceil_div(sequence->row_count * group_size(run), FT_LINES);
}

static int32_t unit_count(const ft_run *run) {
  int32_t units = 0;
  for (int32_t s = 0; s < run->pass->sequence_count; ++s) {
    units += sequence_tiles(run, &run->pass->sequences[s]) * run->plan->attention.kv_heads;
  }
  return units;
}

static attention_unit find_unit(const ft_run *run, int32_t index) {
  int32_t s = 0, tiles = sequence_tiles(run, &run->pass->sequences[0]);
  while (index >= tiles * run->plan->attention.kv_heads) {
    index -= tiles * run->plan->attention.kv_heads;
    tiles = sequence_tiles(run, &run->pass->sequences[++s]);
  }
  return (attention_unit){s, index / tiles, index % tiles * FT_LINES};
}

static int32_t row_positions(const ft_row *row) { return row->contiguous + row->tail_count; }

static int32_t first_position(const ft_row *row, int32_t window) {
  int32_t low = window > 0 ? row_positions(row) - window : 0;
  return low > 0 ? low : 0;
}

// MARK: Cutting

ft_attention_split ft_split_attention(const ft_run *run, const ft_op *op) {
  const ft_pass *pass = run->pass;
  int32_t first = INT32_MAX, last = 0;
  for (int32_t r = 0; r < pass->row_count; ++r) {
    int32_t low = first_position(&pass->rows[r], op->window);
    int32_t high = row_positions(&pass->rows[r]);
    first = low < first ? low : first;
    last = high > last ? high : last;
  }
  ft_attention_split split = {
      .units = unit_count(run), .first_span = first / FT_SPAN, .positions = last - first};
  split.spans = ft_ceil_div(last, FT_SPAN) - split.first_span;
  size_t floats = (size_t)split.units * (size_t)split.spans * FT_LINES *
                  ft_partial_stride(run->plan->attention.head_dimension);
  split.by_spans = split.spans > 1 && split.units < run->workers * 4 &&
                   floats <= pass->partial_capacity;
  return split;
}

int32_t ft_attention_pieces(const ft_run *run) {
  return run->split.by_spans ? run->split.units * run->split.spans : run->split.units;
}

double ft_attention_piece_cost(const ft_run *run, const ft_op *op) {
  const ft_attention_shape *shape = &run->plan->attention;
  double positions = run->split.positions;
  if (run->split.by_spans && positions > FT_SPAN) positions = FT_SPAN;
  if (op->window > 0 && positions > op->window) positions = op->window;
  double lines = (double)run->pass->row_count * group_size(run);
  return positions * (lines < FT_LINES ? lines : FT_LINES) * shape->head_dimension / 20;
}

size_t ft_plan_partial_floats(const ft_plan *plan, int32_t positions) {
  // Splitting stops at 4 units a worker; 16 workers' worth is the most that is kept.
  return (size_t)64 * ft_ceil_div(positions, FT_SPAN) * FT_LINES *
         ft_partial_stride(plan->attention.head_dimension);
}

// MARK: Tiles

static ft_attention_tile make_tile(const ft_run *run, attention_unit unit) {
  const ft_attention_shape *shape = &run->plan->attention;
  const ft_op *op = run->op;
  const ft_sequence *sequence = &run->pass->sequences[unit.sequence];
  int32_t group = group_size(run);
  int32_t count = sequence->row_count * group - unit.first_line;
  ft_attention_tile tile = {
      .count = count < FT_LINES ? count : FT_LINES,
      .pages = sequence->pages,
      .offset =
          shape->page_layer_stride * op->layer + shape->page_head_stride * (size_t)unit.kv_head,
      .kv_type = shape->kv_type,
      .head_dimension = shape->head_dimension,
  };
  for (int32_t i = 0; i < tile.count; ++i) {
    int32_t line = unit.first_line + i, r = sequence->row_begin + line / group;
    const ft_row *row = &run->pass->rows[r];
    int32_t head = unit.kv_head * group + line % group;
    tile.lines[i] = (ft_line){
        .query = ft_buffer_row(run->pass, op->input, r) + (size_t)head * shape->head_dimension,
        .tail = run->pass->tails + row->tail_begin,
        .tail_count = row->tail_count,
        .contiguous = row->contiguous,
        .low = first_position(row, op->window),
    };
    if (row->contiguous > tile.contiguous) tile.contiguous = row->contiguous;
  }
  return tile;
}

static float *line_output(const ft_run *run, attention_unit unit, int32_t line) {
  const ft_attention_shape *shape = &run->plan->attention;
  int32_t group = group_size(run), at = unit.first_line + line;
  int32_t row = run->pass->sequences[unit.sequence].row_begin + at / group;
  int32_t head = unit.kv_head * group + at % group;
  return ft_buffer_row(run->pass, run->op->output, row) + (size_t)head * shape->head_dimension;
}

// MARK: Scratch

static size_t aligned_floats(size_t floats) { return (floats + 15) & ~(size_t)15; }

size_t ft_attention_scratch_bytes(int32_t head_dimension) {
  size_t floats = aligned_floats((size_t)head_dimension * FT_LINES)  // queries
                  + (size_t)FT_LINES * FT_SPAN                       // scores
                  + (size_t)FT_LINES * FT_SPAN / 2                   // weights
                  + FT_SPAN                                          // scales of values
                  + 2 * FT_LINES * ft_partial_stride(head_dimension);
  return floats * sizeof(float);
}

static ft_attention_scratch take_scratch(const ft_run *run, int32_t worker) {
  int32_t dimension = run->plan->attention.head_dimension;
  float *at = (float *)(ft_run_scratch(run, worker) + FT_MATMUL_SCRATCH);
  ft_attention_scratch scratch = {.queries = at};
  scratch.scores = at += aligned_floats((size_t)dimension * FT_LINES);
  at += FT_LINES * FT_SPAN;
  scratch.weights = (int16_t *)at;
  scratch.value_scales = at += FT_LINES * FT_SPAN / 2;
  scratch.partials = at += FT_SPAN;
  scratch.totals = at + FT_LINES * ft_partial_stride(dimension);
  return scratch;
}

// MARK: Running

/// Asks for the keys of the first span at once. Those of later spans are asked for while the values
/// of the one before are summed.
static void prefetch_keys(const ft_attention_tile *tile, int32_t span) {
  size_t bytes = ft_key_elements(tile->head_dimension) * ft_kv_element_bytes(tile->kv_type);
  int32_t slot = span * FT_SPAN;
  int32_t end = slot + FT_SPAN < tile->contiguous ? slot + FT_SPAN : tile->contiguous;
  for (; slot < end; slot += FT_PAGE_SLOTS) {
    const uint8_t *keys = tile->pages[slot / FT_PAGE_SLOTS] + tile->offset;
    for (size_t i = 0; i < bytes; i += 64) __builtin_prefetch(keys + i, 0, 2);
  }
}

static void attend_whole(const ft_run *run, ft_attention_scratch *scratch, int32_t index) {
  int32_t dimension = run->plan->attention.head_dimension;
  int32_t padded = ft_padded_dimension(dimension);
  size_t stride = ft_partial_stride(dimension);
  attention_unit unit = find_unit(run, index);
  ft_attention_tile tile = make_tile(run, unit);
  run->ops->load_queries(&tile, scratch);
  int32_t first = INT32_MAX, last = 0;
  for (int32_t i = 0; i < tile.count; ++i) {
    int32_t end = tile.lines[i].contiguous + tile.lines[i].tail_count;
    first = tile.lines[i].low < first ? tile.lines[i].low : first;
    last = end > last ? end : last;
    scratch->totals[i * stride + padded + 1] = 0;
  }
  for (int32_t span = first / FT_SPAN; span < ft_ceil_div(last, FT_SPAN); ++span) {
    run->ops->attend_span(&tile, span, scratch, scratch->partials);
    for (int32_t i = 0; i < tile.count; ++i) {
      run->ops->merge(scratch->totals + i * stride, scratch->partials + i * stride, dimension);
    }
  }
  for (int32_t i = 0; i < tile.count; ++i) {
    run->ops->finish(scratch->totals + i * stride, line_output(run, unit, i), dimension);
  }
}

static float *span_partials(const ft_run *run, int32_t unit, int32_t span) {
  size_t stride = ft_partial_stride(run->plan->attention.head_dimension);
  return run->pass->partials + ((size_t)unit * run->split.spans + span) * FT_LINES * stride;
}

void ft_run_attention(const ft_run *run, int32_t worker, int32_t begin, int32_t end) {
  const ft_attention_split *split = &run->split;
  ft_attention_scratch scratch = take_scratch(run, worker);
  if (!split->by_spans) {
    for (int32_t unit = begin; unit < end; ++unit) attend_whole(run, &scratch, unit);
    return;
  }
  ft_attention_tile tile = {0};
  for (int32_t piece = begin; piece < end; ++piece) {
    int32_t unit = piece / split->spans, span = piece % split->spans;
    if (piece == begin || span == 0) {
      tile = make_tile(run, find_unit(run, unit));
      prefetch_keys(&tile, split->first_span + span);
      run->ops->load_queries(&tile, &scratch);
    }
    run->ops->attend_span(&tile, split->first_span + span, &scratch,
                          span_partials(run, unit, span));
  }
}

int32_t ft_merge_pieces(const ft_run *run) {
  return run->split.by_spans ? run->split.units * FT_LINES : 0;
}

void ft_run_attention_merge(const ft_run *run, int32_t worker, int32_t begin, int32_t end) {
  int32_t dimension = run->plan->attention.head_dimension;
  size_t stride = ft_partial_stride(dimension);
  float *total = take_scratch(run, worker).totals;
  for (int32_t piece = begin; piece < end; ++piece) {
    int32_t index = piece / FT_LINES, line = piece % FT_LINES;
    attention_unit unit = find_unit(run, index);
    int32_t lines = run->pass->sequences[unit.sequence].row_count * group_size(run);
    if (unit.first_line + line >= lines) continue;
    total[ft_padded_dimension(dimension) + 1] = 0;
    for (int32_t span = 0; span < run->split.spans; ++span) {
      run->ops->merge(total, span_partials(run, index, span) + line * stride, dimension);
    }
    run->ops->finish(total, line_output(run, unit, line), dimension);
  }
}
