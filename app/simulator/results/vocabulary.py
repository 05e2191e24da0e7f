"""Words that made-up results are put together from, in many scripts on purpose."""

from typing import Final

# First and last names that go together. Accents, CJK, Cyrillic, Devanagari, right to left.
NAMES: Final = (
    (("Anna", "James", "Olivia", "Noah", "Grace"), ("Smith", "O'Connor", "Taylor-Reed", "Lee")),
    (("Zoë", "François", "Hélène", "Benoît"), ("Lefèvre", "Ångström", "Dubois", "Nguyễn")),
    (("José", "Lucía", "João", "Inês"), ("Muñoz", "da Conceição", "Peña", "Araújo")),
    (("Jürgen", "Käthe", "Øystein", "Małgorzata"), ("Größmann", "Łukasiewicz", "Sørensen")),
    (("美咲", "健太", "小红", "伟"), ("田中", "佐々木", "王", "欧阳")),
    (("지민", "서연", "민준"), ("김", "이", "박")),
    (("محمد", "ليلى", "يوسف"), ("الحسن", "بن سعيد", "العلي")),
    (("נועה", "אריאל", "יעל"), ("כהן", "לוי", "מזרחי")),
    (("Анна", "Дмитрий", "Ольга"), ("Иванова", "Шевченко", "Щербаков")),
    (("प्रिया", "अर्जुन", "राहुल"), ("शर्मा", "पटेल", "सिंह")),
)
PLACES: Final = (
    ("Paris, Île-de-France, France", "FR"),
    ("São Paulo, Brasil", "BR"),
    ("東京都, 日本", "JP"),
    ("تل أبيب", "IL"),
    ("New York, New York, United States", "US"),
    ("Zürich, Schweiz", "CH"),
    ("القاهرة، مصر", "EG"),
    ("Bengaluru, Karnataka, India", "IN"),
    ("Kraków, Polska", "PL"),
    ("Greater London, England, United Kingdom", "GB"),
)
JOBS: Final = (
    "Account Executive",
    "Head of Growth",
    "Staff Software Engineer",
    "Ingénieure des données",
    "Directora de Marketing",
    "VP Sales, EMEA & APAC",
    "プロダクトマネージャー",
    "Leiter Qualitätssicherung",
    "Co-Founder / CTO",
    'Recruiter ("people person")',
)
COMPANIES: Final = (
    "Northwind Analytics",
    "Crédit & Associés",
    "Übermorgen GmbH",
    "株式会社さくら",
    "Blue Harbor, Inc.",
    "Café Ñandú S.A.",
    "Łódź Robotics",
    "شركة النور",
    "Tern Labs",
    "O'Hara & Sons",
    "Quanta; Motion",
    "Pied-à-Terre",
)
INDUSTRIES: Final = (
    "Software Development",
    "Financial Services",
    "Hospitals and Health Care",
    "Machinery Manufacturing",
    "Advertising Services",
    "Higher Education",
)
SCHOOLS: Final = (
    "École Polytechnique",
    "Universidad de Málaga",
    "東京大学",
    "University of Edinburgh",
    "ETH Zürich",
    "Technion - הטכניון",
    "IIT Bombay",
    "Uniwersytet Jagielloński",
)
DEGREES: Final = ("Bachelor of Science", "Master 2", "MBA", "Ph.D.", "Diplom-Ingenieur", "学士")
FIELDS_OF_STUDY: Final = (
    "Computer Science",
    "Économie",
    "Mechanical Engineering",
    "Philosophy",
    "経営学",
    "Statistics & Data",
)
SKILLS: Final = (
    "Python",
    "Sales Operations",
    "Négociation",
    "Kubernetes",
    "SQL",
    "Public Speaking",
    "C++",
    "データ分析",
    "Leadership",
    "Copywriting",
    "Forecasting",
    "Figma",
    "A/B Testing",
    "Contrôle de gestion",
)
LANGUAGES: Final = ("English", "Français", "Español", "日本語", "العربية", "עברית", "Deutsch")
FLUENCIES: Final = ("Native or bilingual", "Full professional", "Limited working", "Elementary")
SENTENCES: Final = (
    "I help B2B teams turn messy data into decisions people trust.",
    "Depuis dix ans, j'accompagne des équipes à taille humaine, de l'idée à la mise en prod.",
    "Previously at two start-ups (one exit, one glorious failure) 🚀.",
    "Speaker, mentor, mediocre climber 🧗‍♀️; always happy to talk about onboarding.",
    "私は東京を拠点に、アジア全域のチームと仕事をしています。",
    "أعمل على بناء جسور بين المنتج والمبيعات.",
    "אני מאמינה בצוותים קטנים ובמטרות גדולות.",
    'My rule: "measure twice, ship once" -- and then measure again.',
    "Zuständig für Qualität, Prozesse und manchmal auch für den Kaffee ☕.",
    "Open to advisory roles in climate, health & education.",
    "Line one of a list:\n- revenue operations\n- forecasting\n- hiring",
    "Reach me at the usual place; no agencies, please.",
)
EMOJI: Final = ("", "", "", " 🚀", " 👩🏽‍💻", " ✨", " 🇫🇷")
