// A detector's counts at any threshold: which region counts, what it was found in place of, and what was missed.

const NOT_COUNTED = -2;
const NOTHING = -1;

function countingRegions() {
  const {
    first_region, label, score, hit, ignored, place, first_box, box_label, box_ignored, box_place, first_pair, pair_box,
  } = unpackedColumns();
  const concepts = data.concepts.length;
  const imageOf = (first, row) => {
    let low = 0;
    let high = first.length - 1;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (first[middle] <= row) low = middle;
      else high = middle;
    }
    return low;
  };
  const counts = (region, threshold) => score[region] >= threshold && !ignored[region];
  let kept = null;

  // said: of each region the box it hits, or else the free one that it overlaps most, the surest region first.
  // found: whether a region stands in the place of a box. As tasks/metrics/confusion.py has them.
  function at(asked) {
    if (kept && kept.asked === asked) return kept;
    const threshold = Math.fround(asked);
    const said = new Int32Array(score.length).fill(NOT_COUNTED);
    const found = new Uint8Array(box_label.length);
    for (let region = 0; region < score.length; region++) {
      if (!counts(region, threshold)) continue;
      said[region] = hit[region];
      if (hit[region] >= 0) found[hit[region]] = 1;
    }
    for (let region = 0; region < score.length; region++) {
      if (said[region] !== NOTHING) continue;
      for (let pair = first_pair[region + 1] - 1; pair >= first_pair[region]; pair--) {
        if (found[pair_box[pair]]) continue;
        said[region] = pair_box[pair];
        found[pair_box[pair]] = 1;
        break;
      }
    }
    kept = { asked, said, found };
    return kept;
  }

  function rows(asked) {
    const { said } = at(asked);
    const [labelled, right, wrong] = [0, 1, 2].map(() => new Array(concepts).fill(0));
    box_label.forEach((concept, box) => (labelled[concept] += box_ignored[box] ? 0 : 1));
    said.forEach((box, region) => {
      if (box !== NOT_COUNTED) (hit[region] >= 0 ? right : wrong)[label[region]] += 1;
    });
    return labelled.map((each, concept) => rated(each, right[concept], wrong[concept]));
  }

  function matrix(asked) {
    const { said, found } = at(asked);
    const counted = Array.from({ length: concepts + 1 }, () => new Array(concepts + 1).fill(0));
    said.forEach((box, region) => {
      if (box !== NOT_COUNTED) counted[box >= 0 ? box_label[box] : concepts][label[region]] += 1;
    });
    found.forEach((its, box) => {
      if (!its && !box_ignored[box]) counted[box_label[box]][concepts] += 1;
    });
    const names = [...data.concepts, "background"];
    return { rows: names, columns: names, cells: counted, actual: "labelled", said: "found" };
  }

  // The regions and boxes that a test picks, by image: the surest mistakes first, of what is right the least sure.
  function gathered(ofRegion, ofBox, right = false) {
    const by = new Map();
    const its = (image, value) => {
      if (!by.has(image)) by.set(image, { image, regions: [], boxes: [], sure: -Infinity });
      const one = by.get(image);
      one.sure = Math.max(one.sure, right ? -value : value);
      return one;
    };
    for (let region = 0; region < score.length; region++)
      if (ofRegion(region)) its(imageOf(first_region, region), score[region]).regions.push(region);
    for (let box = 0; box < box_label.length; box++)
      if (!box_ignored[box] && ofBox(box)) its(imageOf(first_box, box), 0).boxes.push(box);
    return [...by.values()].sort((one, other) => other.sure - one.sure);
  }

  function behindCell(asked, row, column) {
    const { said, found } = at(asked);
    if (column === concepts)
      return gathered(() => false, (box) => !found[box] && box_label[box] === row);
    const actual = (box) => (box >= 0 ? box_label[box] : concepts);
    return gathered(
      (region) => said[region] !== NOT_COUNTED && label[region] === column && actual(said[region]) === row,
      () => false,
      row === column,
    );
  }

  function behindCount(asked, concept, name) {
    const { said } = at(asked);
    const mine = (region) => said[region] !== NOT_COUNTED && label[region] === concept;
    if (name === "True Positives") return gathered((region) => mine(region) && hit[region] >= 0, () => false, true);
    if (name === "False Positives") return gathered((region) => mine(region) && hit[region] < 0, () => false);
    const hits = new Set(hit.filter((_, region) => said[region] !== NOT_COUNTED));
    return gathered(() => false, (box) => box_label[box] === concept && !hits.has(box));
  }

  // What is drawn over an image: {place, kind, text, meant}; a region that is meant is there at any threshold.
  function drawnOver(asked, { image, regions = [], boxes = [] }) {
    const { said } = at(asked);
    const all = !regions.length && !boxes.length;
    const [labelled, over, hits] = [[], [], new Set()];
    for (let region = first_region[image + 1] - 1; region >= first_region[image]; region--) {
      const meant = regions.includes(region);
      if (said[region] === NOT_COUNTED && !meant) continue;
      if (hit[region] >= 0) hits.add(hit[region]);
      const kind = hit[region] >= 0 ? "right" : "wrong";
      const named = meant || (all && kind === "wrong"); // the names of all that is right would hide the picture
      const text = named ? `${shortened(data.concepts[label[region]])} ${two(score[region])}` : "";
      over.push({ place: place.subarray(4 * region, 4 * region + 4), kind, text, meant: all || meant });
    }
    const about = new Set([...boxes, ...regions.map((region) => said[region])]);
    for (let box = first_box[image]; box < first_box[image + 1]; box++) {
      const kind = box_ignored[box] ? "aside" : hits.has(box) ? "there" : "missed";
      const meant = all || about.has(box);
      const text = kind === "missed" ? shortened(data.concepts[box_label[box]]) : "";
      labelled.push({ place: box_place.subarray(4 * box, 4 * box + 4), kind, text, meant });
    }
    return [...labelled, ...over];
  }

  // Of one region that is meant, what it says and what is labelled in its place; of a picture, how much is wrong.
  function told(asked, one) {
    if (one.regions && one.regions.length === 1 && !one.boxes) {
      const [region] = one.regions;
      const box = at(asked).said[region];
      const its = box >= 0 ? `labelled ${shortened(data.concepts[box_label[box]])}` : "nothing labelled there";
      return `${shortened(data.concepts[label[region]])} ${two(score[region])}; ${its}`;
    }
    if (!carried(asked)) return "";
    const over = drawnOver(asked, { image: one.image });
    const count = (kind) => over.filter((each) => each.kind === kind).length;
    return `${count("wrong")} wrong, ${count("missed")} missed, ${count("right")} right`;
  }

  const dots = (asked) => {
    const each = rows(asked);
    return (concept) => {
      if (!carried(asked)) return { recall: null, precision: null };
      const row = concept < 0 ? summed(each) : each[concept];
      return { recall: row.Recall, precision: row.Precision };
    };
  };
  return { rows, matrix, behindCell, behindCount, drawnOver, told, dots };
}
