package local

import (
	"context"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// Decide takes what a person decides. No subtask of a run waits for one yet.
func (d *Driver) Decide(context.Context, string, orchestration.Said) error {
	return orchestration.ErrNotWaiting
}
