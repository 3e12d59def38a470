package api

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// defaultLimit is how much a page holds when the caller does not say.
const defaultLimit = 50

// ListRuns lists the tenant's runs, newest first.
func (s *server) ListRuns(ctx context.Context, request ListRunsRequestObject) (ListRunsResponseObject, error) {
	params := request.Params
	filter := orchestration.Filter{
		Status: params.Status, Workflow: params.Workflow, CreatedAfter: params.CreatedAfter, CreatedBefore: params.CreatedBefore,
		Limit: defaultLimit, Labels: make(map[string]string, len(params.Label)),
	}
	for _, label := range params.Label {
		name, value, _ := strings.Cut(label, ":")
		if other, twice := filter.Labels[name]; twice && other != value {
			return reply{status: http.StatusOK, body: RunPage{Data: []RunSummary{}}}, nil // no run has both
		}
		filter.Labels[name] = value
	}
	if params.Limit > 0 {
		filter.Limit = params.Limit
	}
	var created time.Time // the run of the cursor
	if params.Cursor != "" {
		var known bool
		if filter.Before, created, known = runCursor(params.Cursor); !known {
			return nil, badCursor("not a next_cursor of this list")
		}
	}
	limit := filter.Limit
	filter.Limit++ // one more shows that there is more
	rows, err := s.Reader.Rows(ctx, exchangeOf(ctx).tenant, filter)
	if errors.Is(err, orchestration.ErrNotFound) && !created.IsZero() { // it was deleted: those created before it are next
		if filter.Before = ""; filter.CreatedBefore.IsZero() || created.Before(filter.CreatedBefore) {
			filter.CreatedBefore = created
		}
		rows, err = s.Reader.Rows(ctx, exchangeOf(ctx).tenant, filter)
	}
	switch {
	case errors.Is(err, orchestration.ErrNotFound) && filter.Before != "":
		return nil, badCursor("the run that the page before ended with is no more")
	case err != nil:
		return nil, err
	}
	page := RunPage{Data: make([]RunSummary, 0, len(rows))}
	for _, row := range rows[:min(len(rows), limit)] {
		page.Data = append(page.Data, summarize(row))
	}
	if len(rows) > limit {
		next := cursorOf(rows[limit-1])
		page.NextCursor = &next
	}
	return ok(page), nil
}

// A cursor is the id of the last run or delivery of a page, marked so that
// anything else is known as none.
const cursorMark = "before:"

func cursorAfter(id string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(cursorMark + id))
}

func readCursor(cursor, prefix string) (id string, ok bool) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(cursor)
	if err != nil {
		return "", false
	}
	id, ok = strings.CutPrefix(string(raw), cursorMark)
	return id, ok && strings.HasPrefix(id, prefix)
}

// A run's cursor also has when it was created, for the case that it is deleted.
func cursorOf(row orchestration.Row) string {
	return cursorAfter(row.ID + "@" + row.CreatedAt.UTC().Format(time.RFC3339Nano))
}

func runCursor(cursor string) (id string, created time.Time, ok bool) {
	place, ok := readCursor(cursor, "run_")
	id, at, timed := strings.Cut(place, "@")
	if timed {
		var err error
		created, err = time.Parse(time.RFC3339Nano, at)
		ok = ok && err == nil
	}
	return id, created, ok
}

func badCursor(detail string) *Problem {
	return invalid([]Fault{{Pointer: "query/cursor", Code: "invalid_cursor", Detail: detail}})
}
