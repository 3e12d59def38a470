package main

import (
	"context"
	"encoding/json"
	"io"
	"time"

	"github.com/tmaxmax/go-sse"
)

// A frame is an event as the API tells it, with all that the demo shows of any.
type frame struct {
	Type      string    `json:"type"`
	Time      time.Time `json:"time"`
	RunID     string    `json:"run_id"`
	SubtaskID string    `json:"subtask_id"`
	Data      struct {
		Task    string `json:"task"`
		Model   string `json:"model"`
		Subtask struct {
			ID          string `json:"id"`
			Kind        string `json:"kind"`
			Type        string `json:"type"`
			Description string `json:"description"`
			Parent      string `json:"parent"`
		} `json:"subtask"`
		Subtasks []string `json:"subtasks"`
		Detail   string   `json:"detail"`
		Error    problem  `json:"error"`
		Waiting  struct {
			Message string `json:"message"`
		} `json:"waiting"`
		Calls []call `json:"calls"`
	} `json:"data"`
}

type problem struct {
	Code   string `json:"code"`
	Detail string `json:"detail"`
}

type call struct {
	Role    string    `json:"role"`
	Model   string    `json:"model"`
	Started time.Time `json:"started"`
	Ended   time.Time `json:"ended"`
	Outcome string    `json:"outcome"`
	Usage   struct {
		Prompt     int `json:"prompt_tokens"`
		Completion int `json:"completion_tokens"`
	} `json:"usage"`
	subtask string
}

// readFrames reads events until the stream ends.
func readFrames(ctx context.Context, body io.Reader, frames chan<- frame) error {
	for e, err := range sse.Read(body, &sse.ReadConfig{MaxEventSize: 1 << 20}) {
		if err != nil {
			return err
		}
		var f frame
		if err := json.Unmarshal([]byte(e.Data), &f); err != nil {
			return err
		}
		select {
		case frames <- f:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}
