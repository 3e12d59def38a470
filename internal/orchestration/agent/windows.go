package agent

import (
	"errors"
	"slices"
	"sync"

	"github.com/tutti-run/tutti/internal/llm"
	"github.com/tutti-run/tutti/internal/orchestration"
)

// windows knows how many tokens models take: what the run's spec says, or less
// where a provider has complained of a prompt that should have fit.
type windows struct {
	mu     sync.Mutex
	learnt map[string]int // by the model's configured name
}

// maxLearnt bounds the windows learnt: without a list of models, callers name them.
const maxLearnt = 1000

// of returns the model's window in tokens, 0 when it is unknown.
func (w *windows) of(model orchestration.Model) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	if learnt, ok := w.learnt[model.Name]; ok && (model.ContextWindow == 0 || learnt < model.ContextWindow) {
		return learnt
	}
	return model.ContextWindow
}

// lower notes that sent tokens were too many for the model. The provider may
// have named its window; where that does not explain the complaint, our
// estimate is too low for this text, and a quarter less is assumed.
func (w *windows) lower(model string, named, sent int) {
	if named <= 0 || named >= sent {
		named = sent * 3 / 4
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if learnt, ok := w.learnt[model]; ok && learnt <= named {
		return
	}
	if w.learnt == nil || len(w.learnt) >= maxLearnt {
		w.learnt = map[string]int{}
	}
	w.learnt[model] = named
}

// learn takes a provider's complaint that a request was too long, and reports whether
// the next one will be shorter for it. Images may be more than a proxy lets through, or
// than we reckon them at: where they may be the reason, nothing is learned about texts.
func (p *performance) learn(err error, request *llm.Request) bool {
	named, sent := 0, spentOn(request)+request.MaxTokens
	var failed *llm.Error
	if errors.As(err, &failed) {
		named = failed.Window
	}
	if explained := named > 0 && named < sent; !explained && pictured(request.Messages) {
		return false
	}
	p.windows.lower(p.model.Name, named, sent)
	return true
}

func pictured(messages []llm.Message) bool {
	return slices.ContainsFunc(messages, func(m llm.Message) bool { return len(m.Images) > 0 })
}
