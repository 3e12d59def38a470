package main

import (
	"context"
	"sync/atomic"

	"go.uber.org/zap"

	"github.com/tutti-run/tutti/internal/llm"
)

// A reach has the log say when a provider cannot be connected to, and when it can be
// again. Runs wait for it meanwhile, so a wrong address would show nowhere but in their
// events for minutes.
type reach struct {
	llm.Client
	provider string
	log      *zap.Logger
	lost     atomic.Bool
}

// Chat hands the request on.
func (r *reach) Chat(ctx context.Context, req *llm.Request) (*llm.Response, error) {
	resp, err := r.Client.Chat(ctx, req)
	for _, c := range llm.Calls(resp, err) {
		switch {
		case c.Unsent:
			if !r.lost.Swap(true) {
				r.log.Warn("a provider cannot be connected to: runs wait for it", zap.String("provider", r.provider), zap.Error(err))
			}
		case c.Outcome == llm.Unavailable, c.Outcome == llm.Timeout, c.Outcome == llm.Canceled: // nothing is known by that
		case r.lost.Load() && r.lost.Swap(false):
			r.log.Info("a provider can be connected to again", zap.String("provider", r.provider))
		}
	}
	return resp, err
}
