package api

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"strings"

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
	if params.Cursor != "" {
		var known bool
		if filter.Before, known = readCursor(params.Cursor, "run_"); !known {
			return nil, badCursor("not a next_cursor of this list")
		}
	}
	limit := filter.Limit
	filter.Limit++ // one more shows that there is more
	rows, err := s.Reader.Rows(ctx, exchangeOf(ctx).tenant, filter)
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
		next := cursorAfter(rows[limit-1].ID)
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

func badCursor(detail string) *Problem {
	return invalid([]Fault{{Pointer: "query/cursor", Code: "invalid_cursor", Detail: detail}})
}
