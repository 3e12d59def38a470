package agent

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/tutti-run/tutti/internal/llm"
	"github.com/tutti-run/tutti/internal/orchestration"
)

// maxLevels bounds how often results are combined before they are shortened.
const maxLevels = 4

// gather makes the prompt of the answer. Where the results do not fit, groups of
// them are combined first, each by a call, and then the parts; where that does
// not make them smaller, they are shortened.
func (f *finale) gather(ctx context.Context) ([]llm.Message, *orchestration.Failure) {
	for level := 1; ; level++ {
		messages := f.brief.messages(f.brief.items)
		if within(messages, f.budget()) {
			return messages, nil
		}
		room := f.spare()
		if room < minShare {
			return nil, tooLong("the task and its context do not fit the synthesizer model's context window")
		}
		if level > maxLevels || f.p.purse != nil { // a budget pays for one call
			break
		}
		before := weight(f.brief.items)
		if failure := f.combine(ctx, level, room); failure != nil {
			return nil, failure
		}
		if weight(f.brief.items) > before*9/10 {
			break
		}
	}
	messages, shortened, ok := f.brief.fit(f.budget())
	if !ok {
		return nil, tooLong("the results do not fit the synthesizer model's context window, even when shortened")
	}
	f.shortened = f.shortened || shortened
	return messages, nil
}

// weight is how many tokens items take, with their tags.
func weight(items []item) int {
	n := 0
	for _, it := range items {
		n += itemWeight(it)
	}
	return n
}

func itemWeight(it item) int {
	const tags = 32
	return tokens(it.text) + tokens(it.id) + tokens(it.kind) + tags
}

// A part is a group of results that becomes one.
type part struct {
	items []item
	place int // from 1
	of    int
	words int // that it should have at most
}

// combine replaces groups of results with what the synthesizer makes of each.
func (f *finale) combine(ctx context.Context, level, room int) *orchestration.Failure {
	const marks = 32 // of the section, and the numbers of the part
	groups := grouped(f.brief.items, f.partBrief(part{}).bare(f.budget())-marks)
	each := room / len(groups)
	combined := make([]item, len(groups))
	calls, ctx := errgroup.WithContext(ctx)
	calls.SetLimit(max(1, f.p.Spec.Limits.MaxConcurrency))
	for i, g := range groups {
		if len(g) == 1 && itemWeight(g[0]) <= each {
			combined[i] = g[0]
			continue
		}
		calls.Go(func() error {
			failure := f.p.contain(func() (failure *orchestration.Failure) {
				combined[i], failure = f.partial(ctx, level, part{g, i + 1, len(groups), max(50, each/3)})
				return failure
			})
			if failure != nil {
				return &partFailed{failure}
			}
			return nil
		})
	}
	var failed *partFailed
	if errors.As(calls.Wait(), &failed) {
		return failed.failure
	}
	f.brief.items = combined
	return nil
}

// A partFailed is the failure that makes the other parts pointless.
type partFailed struct{ failure *orchestration.Failure }

func (f *partFailed) Error() string { return string(f.failure.Code) }

// grouped divides items, in their order, so that each group weighs at most so
// much; an item that weighs more is a group of its own.
func grouped(items []item, most int) [][]item {
	var groups [][]item
	from, sum := 0, 0
	for i, it := range items {
		w := itemWeight(it)
		if i > from && sum+w > most {
			groups = append(groups, items[from:i])
			from, sum = i, 0
		}
		sum += w
	}
	return append(groups, items[from:])
}

// partial makes one result of a group.
func (f *finale) partial(ctx context.Context, level int, g part) (item, *orchestration.Failure) {
	brief := f.partBrief(g)
	messages, shortened, ok := brief.fit(f.budget())
	if !ok {
		return item{}, tooLong("a group of results does not fit the synthesizer model's context window")
	}
	d := f.p.dialog(f.p.Spec.Synthesizer.Role, messages)
	d.name = fmt.Sprintf("%s/%d.%d", d.name, level, g.place)
	text, failure := f.p.plain(ctx, d)
	if failure != nil {
		return item{}, f.judged(failure)
	}
	if isBlankText(text) {
		return item{}, invalidOutput("the model's answer is blank", true)
	}
	if shortened {
		f.p.mu.Lock()
		f.shortened = true
		f.p.mu.Unlock()
	}
	return item{id: groupName(g.items), kind: "combined", status: orchestration.StatusSucceeded, text: harmless(text, resultTags)}, nil
}

// groupName names a group by its first and its last result.
func groupName(items []item) string {
	first, last := "", ""
	for _, it := range items {
		if it.id == "" {
			continue
		}
		from, to, combined := strings.Cut(it.id, "…")
		if !combined {
			to = from
		}
		first, last = cmp.Or(first, from), to
	}
	if first == last {
		return cmp.Or(first, "rest")
	}
	return first + "…" + last
}

// partBrief is the prompt that combines a group. It begins like the one for
// the answer.
func (f *finale) partBrief(g part) *brief {
	d := &brief{system: f.brief.system, items: g.items, times: 1}
	d.user = func(items []item) string {
		var b strings.Builder
		f.begin(&b, "", items)
		fmt.Fprintf(&b, "These are only some of the results: part %d of %d. Do not write the answer yet. "+
			"Combine these results into one text of at most %d words, from which the answer will be written together with the other parts. "+
			"Keep all that the answer needs: facts, figures, names, and what is missing. Write it between <response> and </response>.", g.place, g.of, g.words)
		return b.String()
	}
	return d
}
