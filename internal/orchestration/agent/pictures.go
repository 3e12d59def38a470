package agent

import (
	"context"
	"sync"

	"github.com/tutti-run/tutti/internal/llm"
	"github.com/tutti-run/tutti/internal/orchestration"
)

// pictures holds the images of runs while calls use them, so that all calls of
// a run, waiting for a slot or not, share one copy.
type pictures struct {
	mu   sync.Mutex
	runs map[string]*album
}

// An album is the images of a run.
type album struct {
	users int // guarded by pictures.mu

	mu     sync.Mutex
	images []llm.Image
}

// images returns the run's images, to be let go by calling done.
func (p *performance) images(ctx context.Context) (images []llm.Image, done func(), failure *orchestration.Failure) {
	if len(p.Spec.Attachments) == 0 {
		return nil, func() {}, nil
	}
	a := p.pictures.take(p.Run)
	done = func() { p.pictures.leave(p.Run, a) }
	a.mu.Lock()
	defer a.mu.Unlock()
	for i := len(a.images); i < len(p.Spec.Attachments); i++ {
		data, err := p.texts.Attachment(ctx, p.Run, i)
		if err != nil {
			done()
			return nil, nil, unread(ctx, "an attachment could not be read from the journal")
		}
		a.images = append(a.images, llm.Image{MediaType: p.Spec.Attachments[i].MediaType, Data: data})
	}
	return a.images, done, nil
}

func (p *pictures) take(run string) *album {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.runs == nil {
		p.runs = map[string]*album{}
	}
	a := p.runs[run]
	if a == nil {
		a = &album{}
		p.runs[run] = a
	}
	a.users++
	return a
}

func (p *pictures) leave(run string, a *album) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if a.users--; a.users == 0 {
		delete(p.runs, run)
	}
}
