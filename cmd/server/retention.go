package main

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/tutti-run/tutti/internal/orchestration/journal"
)

// How old runs are forgotten: a few at a time, so that what is appended
// meanwhile never waits for long.
const (
	expireEvery = time.Minute
	expireMost  = 1000 // runs in one go
)

// expire deletes what has expired in the cache and, unless retention is 0, what
// ended longer ago than that, again and again, until ctx ends.
func expire(ctx context.Context, j journal.Journal, retention time.Duration, log *zap.Logger) {
	ticker := time.NewTicker(expireEvery)
	defer ticker.Stop()
	for {
		if err := j.ExpireCached(ctx, time.Now()); err != nil && ctx.Err() == nil {
			log.Warn("the cache could not be swept; it will be tried again", zap.Error(err))
		}
		if retention > 0 {
			expireRuns(ctx, j, retention, log)
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

func expireRuns(ctx context.Context, j journal.Journal, retention time.Duration, log *zap.Logger) {
	for ctx.Err() == nil {
		removed, err := j.Expire(ctx, time.Now().Add(-retention), expireMost)
		if err != nil && ctx.Err() == nil {
			log.Warn("old runs could not be deleted; it will be tried again", zap.Error(err))
		}
		if removed > 0 {
			log.Info("old runs were deleted", zap.Int("runs", removed))
		}
		if err != nil || removed < expireMost {
			return
		}
	}
}
